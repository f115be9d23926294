//! Help, errors and exit codes: 0 done, 1 failed, 2 wrong use.
use crate::place::{Place, photos, shipped};
use serde_json::json;
use std::io::Read;

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let place = Place::new();
    let help = place.run(&["--help"]).done().out;
    for expected in [
        "advise",
        "check",
        "post-train",
        "compare",
        "choose-gamma",
        "slow-flow",
        "sample",
        "evaluate",
        "export",
        "evidence",
        "schema",
        "completions",
        "--quiet",
        "0 done, 1 failed, 2 wrong use",
    ] {
        assert!(help.contains(expected), "`{expected}` is not in:\n{help}");
    }
    assert_eq!(place.run(&["help"]).done().out, help);
    for command in ["advise", "check", "post-train", "compare", "choose-gamma", "slow-flow"] {
        let help = place.run(&[command, "--help"]).done().out;
        for expected in ["<CONFIG>", "--folder", "--set", "--quiet"] {
            assert!(help.contains(expected), "{command}: `{expected}` is not in:\n{help}");
        }
    }
    assert!(place.run(&["--version"]).done().out.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_range_that_falls_is_checked_trained_and_compared() {
    let place = Place::new();
    let mut config = photos();
    config["post_train"]["strategy"] = json!({"kind": "decaying", "gamma": 0.4});
    place.write("a.json", &config);
    let checked = place.run(&["check", "a.json"]).done().out;
    assert!(checked.contains("a step"), "{checked}");
    place.run(&["post-train", "a.json", "--folder", "run"]).done();
    let table = place.run(&["compare", "a.json", "--folder", "table"]).done().out;
    assert!(table.contains("post-trained"), "{table}");
}

#[test]
fn wrong_use_ends_with_2_and_says_what_would_be_right() {
    let place = Place::new();
    for (arguments, expected) in [
        (&[][..], "Usage: mixflow"),
        (&["compar"], "'compare'"),
        (&["compare"], "<CONFIG>"),
        (&["compare", "a.json", "--sets", "a=1"], "'--set'"),
        (&["compare", "a.json", "--set", "post_train.steps"], "must be KEY=VALUE"),
        (&["export", "runs/a", "a.safetensors", "--dtype", "f8"], "bf16"),
        (&["sample", "runs/a", "--count", "many"], "--count"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(expected) && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
    assert!(place.files("").is_empty());
}

#[test]
fn what_fails_ends_with_1_and_names_the_file() {
    let place = Place::new();
    std::fs::write(place.path("torn.json"), "{\"data\": ").unwrap();
    place.write("circle.json", &json!({"extends": "circle.json"}));
    place.write("orphan.json", &json!({"extends": "absent-base.json"}));
    for (file, expected) in [
        ("absent.json", "absent.json: No such file"),
        ("torn.json", "torn.json: is not JSON"),
        ("circle.json", "circle.json: extends"),
        ("orphan.json", "absent-base.json: No such file"),
    ] {
        for command in ["advise", "check", "post-train", "compare", "choose-gamma", "slow-flow"] {
            let error = place.run(&[command, file]).failed();
            assert!(error.contains(expected), "{command}: {error}");
        }
    }
    for arguments in [&["sample", "nowhere"][..], &["export", "nowhere", "a.safetensors"]] {
        let error = place.run(arguments).failed();
        assert!(error.contains("nowhere: holds no ema.bpk") && error.contains("mixflow post-train"), "{error}");
    }
    for (arguments, expected) in [
        (&["evidence"][..], "configs/photos/gamma.json is not there: run this in a checkout of burn-mixflow"),
        (&["evidence", "--page"], "run this in a checkout"),
        (&["evidence", "photos"], "photos: must be one of photos-gamma, photos-rivals, "),
    ] {
        let error = place.run(arguments).failed();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(!place.path("runs").exists() && !place.path("docs").exists());
}

#[test]
fn a_key_is_refused_alike_in_the_file_and_on_the_command_line() {
    let place = Place::new();
    for (pointer, setting, value, expected) in [
        ("/post_train/strategy/gamma", "post_train.strategy.gamma=1.1", json!(1.1), "must be in [0, 1]"),
        ("/post_train/steps", "post_train.steps=many", json!("many"), "must be a whole number"),
        ("/compare/seeds", "compare.seeds=[1, 1]", json!([1, 1]), "must not repeat"),
        ("/network/kind", "network.kind=sitt", json!("sitt"), "did you mean \"sit\"?"),
        (
            "/devices",
            "devices=[\"tpu\"]",
            json!(["tpu"]),
            "must be \"cpu\", \"cuda:N\", \"wgpu:N\" or \"remote:ADDRESS#N\"",
        ),
    ] {
        let mut wrong = photos();
        wrong["devices"] = json!(["cpu"]);
        place.write("a/same.json", &wrong);
        *wrong.pointer_mut(pointer).unwrap() = value;
        place.write("b/same.json", &wrong);
        let set = place.run(&["compare", "a/same.json", "--set", setting]).failed();
        let written = place.run(&["compare", "b/same.json"]).failed();
        let path = pointer.trim_start_matches('/').replace('/', ".");
        assert!(set.contains(&path) && set.contains(expected), "{set}");
        let set = set.replace(&format!("; it comes from --set {setting}"), "");
        assert_eq!(set.replace("a/same.json", ""), written.replace("b/same.json", ""));
    }
    // Both at once: every problem is told in one run.
    let settings = ["--set", "post_train.stpes=3", "--set", "compere={}"];
    let error = place.run(&[&["compare", "a/same.json"][..], &settings].concat()).failed();
    for expected in ["post_train.stpes is no key; did you mean `steps`?", "compere is no key; did you mean `compare`?"]
    {
        assert!(error.contains(expected), "{error}");
    }
    for (setting, expected) in [("post_train.steps.more=1", "no object"), ("compare.seeds[9]=1", "none is [9]")] {
        let error = place.run(&["compare", "a/same.json", "--set", setting]).failed();
        assert!(error.contains(setting) && error.contains(expected), "{error}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn the_schema_is_the_shipped_one_and_completions_are_for_the_shell() {
    let place = Place::new();
    let schema = place.run(&["schema"]).done().out;
    let shipped = std::fs::read_to_string(shipped("configs/schema.json")).unwrap();
    assert!(schema == shipped, "configs/schema.json is another; write it with `mixflow schema > configs/schema.json`");
    let bash = place.run(&["completions", "bash"]).done().out;
    assert!(bash.contains("_mixflow()") && bash.contains("choose-gamma"), "{bash}");
    assert_eq!(place.run(&["completions", "cmd.exe"]).code, Some(2));
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let place = Place::new();
    place.write("a.json", &photos());
    let mut child = place.start(&["post-train", "a.json"]);
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success(), "{errors}");
    assert_eq!(errors, "");
    place.has("runs/run-a/post_train", &["ema.bpk", "samples.safetensors"]);
}
