//! `mixflow advise`: its files, its refusals, and the same answer in many sittings.
use crate::killed::{killed_once, there};
use crate::place::{Place, photos};
use serde_json::{Value, json};

/// Small in everything, with time for the largest plan: nothing then depends on how fast the machine is.
fn small() -> Value {
    let mut config = photos();
    config["compare"]["evaluations"] = json!([4]);
    config["gamma_search"] = json!({"gammas": [0.2], "pilot_steps": 2, "seeds": [7, 8]});
    config
}

const ADVISE: [&str; 2] = ["advise", "a.json"];
const FOLDER: &str = "runs/run-a/advise";

/// What an advice says, without how long things take.
fn answer(place: &Place) -> Vec<(String, Vec<u8>)> {
    let names = ["advice.json", "sections-4.json", "distances.svg", "advice.md"];
    let read = |name: &str| std::fs::read(place.path(FOLDER).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let timeless = |name: &str, bytes: Vec<u8>| match name {
        "advice.md" => {
            let text = String::from_utf8(bytes).unwrap();
            text.lines().filter(|line| !line.contains(", for about ")).collect::<Vec<_>>().join("\n").into_bytes()
        }
        _ => bytes,
    };
    names.map(|name| (name.to_string(), timeless(name, read(name)))).into()
}

#[test]
fn an_advice_in_many_sittings_is_that_of_one() {
    let (whole, parts) = (Place::new(), Place::new());
    for place in [&whole, &parts] {
        place.write("a.json", &small());
    }
    let told = whole.run(&ADVISE).done().out;
    for expected in ["free settings: up to ", "pilots: a control and γ = 0.2", "confirmation on held-out data: "] {
        assert!(told.contains(expected), "`{expected}` is not in:\n{told}");
    }
    assert!(told.contains("## 4 network evaluations, by frechet_random_convolutions"), "{told}");
    assert!(told.contains("## The model's own velocity deficit"), "{told}");
    let moments = [("sweep/arms", ".json"), ("pilots/arms", "ema.bpk"), ("confirmation/arms", ".json")];
    let killed = moments
        .map(|(below, end)| killed_once(&parts, &ADVISE, |place| there(place, &format!("{FOLDER}/{below}"), end)));
    assert!(killed.iter().filter(|killed| **killed).count() >= 2, "too fast to be killed: {killed:?}");
    parts.run(&ADVISE).done();
    assert_eq!(answer(&parts), answer(&whole));
    let again = parts.run(&ADVISE).done().out;
    assert!(!again.contains(" to do"), "what is there was computed again:\n{again}");
}

#[test]
fn the_sections_can_be_pasted() {
    let place = Place::new();
    let mut config = small();
    place.write("a.json", &config);
    place.run(&ADVISE).done();
    let sections = place.json(&format!("{FOLDER}/sections-4.json"));
    assert_eq!(sections["compare"]["evaluations"], json!([4]), "{sections}");
    for (key, section) in sections.as_object().unwrap() {
        for (name, value) in section.as_object().unwrap() {
            config[key][name] = value.clone();
        }
    }
    place.write("b.json", &config);
    let told = place.run(&["compare", "b.json"]).done().out;
    let sampler = sections["compare"]["samplers"][0]["name"].as_str().unwrap();
    assert!(told.contains(&format!("| {sampler} | 4 |")), "{sampler} is not in:\n{told}");
}

#[test]
fn questions_without_an_answer_say_what_to_do() {
    let place = Place::new();
    let mut config = small();
    config["compare"]["samplers"] = json!([{"name": "Heun", "solver": "heun"}]);
    place.write("a.json", &config);
    let refused = |arguments: &[&str]| place.run(&[&ADVISE[..], arguments].concat()).failed();
    for (arguments, expected) in [
        (&["--metric", "fid"][..], "--metric fid: must be one of frechet_random_convolutions, "),
        (&["--evaluations", "5"], "--evaluations 5: the steps of your own sampler, `Heun`, do not make that many"),
        (&["--minutes", "0"], "--minutes 0: must be above 0"),
        (&["--minutes", "0.0001"], "not even a small sweep of samplers fits; give about "),
    ] {
        let error = refused(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
