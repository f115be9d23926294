//! Data that turn bad: named before the first step, or borne as far as the configuration allows.
use super::commands::official;
use super::place::Place;

#[test]
fn a_bad_latent_is_named_before_the_first_step_and_borne_if_one_may_be_bad() {
    let place = Place::new();
    let mut config = official(&place);
    place.write("mine.json", &config);
    // What a first step would not read is what shows whether all are read.
    let file = "latents/b/00000/img-mean-std-00000023.npy";
    let mut bytes = std::fs::read(place.path(file)).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(place.path(file), bytes).unwrap();
    std::fs::write(place.path("latents/b/._x.npy"), b"no array").unwrap();

    let run = ["post-train", "mine.json", "--folder", "run"];
    let error = place.run(&run).failed();
    assert!(error.contains("1 of 48 items cannot be used (data.max_bad_items = 0"), "{error}");
    assert!(error.contains("img-mean-std-00000023.npy: holds NaN at [7, 7, 7]"), "{error}");
    assert!(!place.path("run/post_train").exists(), "a step was made");
    let error = place.run(&["check", "mine.json"]).failed();
    assert!(error.contains("not ready:") && error.contains("img-mean-std-00000023.npy: holds NaN"), "{error}");

    // The same folder goes on: whoever bears more asks for no other training.
    config["data"]["max_bad_items"] = 1.into();
    place.write("mine.json", &config);
    let ran = place.run(&run).done();
    let warnings: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("warning: latents")).collect();
    assert_eq!(warnings.len(), 1, "{}", ran.err);
    assert!(warnings[0].ends_with("; the next item takes its place (1 of at most 1)"), "{warnings:?}");
    let told = place.run(&["check", "mine.json"]).done().out;
    assert!(
        told.contains("doubtful: data: b/00000/img-mean-std-00000023.npy") && told.ends_with("\nready\n"),
        "{told}"
    );
}

#[test]
fn data_that_changed_since_the_last_checkpoint_are_noticed_and_can_be_accepted() {
    let place = Place::new();
    let mut config = official(&place);
    config["data"]["max_bad_items"] = 1.into();
    place.write("mine.json", &config);
    let run = |more: &[&str]| place.run(&[&["post-train", "mine.json", "--folder", "run"], more].concat());
    run(&["--until", "2"]).done();

    // As many bytes as before, and another number.
    let file = place.path("latents/b/00000/img-mean-std-00000022.npy");
    let whole = std::fs::read(&file).unwrap();
    let mut other = whole.clone();
    let end = other.len();
    other[end - 4..].copy_from_slice(&0.75f32.to_le_bytes());
    std::fs::write(&file, &other).unwrap();
    let error = run(&[]).failed();
    assert!(
        error.contains("run: holds the results of other data") && error.contains("\n  the contents differ"),
        "{error}"
    );
    assert!(error.contains("--accept-data"), "{error}");
    // The same bytes again are the same data, whatever their time.
    std::fs::write(&file, &whole).unwrap();
    run(&["--until", "3"]).done();

    // A file that was cut off is one of the bad items that are borne, once somebody says so.
    std::fs::write(&file, &whole[..end - 1]).unwrap();
    let ran = run(&[]);
    assert!(ran.code == Some(1) && ran.err.contains("--accept-data"), "{}", ran.err);
    let told = run(&["--accept-data"]).done().err;
    assert!(told.contains("from step 3 on with what has changed, as accepted: data.contents: differs"), "{told}");
    assert!(told.contains("the next item takes its place (1 of at most 1)"), "{told}");
    let told = place.run(&["status", "run"]).done().out;
    assert!(told.contains("data.contents: differs, accepted after step 3"), "{told}");
    // What was accepted belongs to the training from then on.
    run(&[]).done();
    // A file that is gone is a bad item too.
    std::fs::remove_file(&file).unwrap();
    assert!(run(&[]).err.contains("--accept-data"));
    run(&["--accept-data"]).done();
    // The training had ended: no step was made of them, and its checkpoints are not of them.
    assert!(run(&[]).err.contains("--accept-data"));
}

#[test]
fn a_table_is_of_one_data_set() {
    let place = Place::new();
    let config = official(&place);
    place.write("mine.json", &config);
    let compare = |seeds: &str| {
        place.run(&["compare", "mine.json", "--folder", "table", "--set", &format!("compare.seeds={seeds}")])
    };
    compare("[0]").done();
    let file = place.path("latents/b/00000/img-mean-std-00000022.npy");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&0.75f32.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let error = compare("[0,1]").failed();
    assert!(error.contains("table: holds the results of other data") && !error.contains("--accept-data"), "{error}");
}
