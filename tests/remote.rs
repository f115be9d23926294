//! Devices of other machines: servers are processes on this one, with CPU devices.
//!
//! ```console
//! cargo test --release --features remote --test remote -- --nocapture
//! ```
//! What travels in a step is printed; docs/scaling.md keeps the figures.
#![cfg(unix)]
#[path = "remote/place.rs"]
mod place;
#[path = "remote/proxy.rs"]
mod proxy;

use place::{Place, TOKEN, on, photos, ran, sit, until};
use proxy::Proxy;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Trains in `name` and returns the weights, raw and averaged.
fn trained(place: &Place, name: &str, config: &Value) -> Vec<(String, Vec<f32>)> {
    place.write("a.json", config);
    place.run(&["post-train", "a.json", "--folder", name]).done();
    place.weights(name)
}

#[track_caller]
fn agree(found: &[(String, Vec<f32>)], expected: &[(String, Vec<f32>)], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let mut most = 0.0_f32;
    for ((name, found), (other, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.len()), (other, expected.len()));
        let differs = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(differs <= tolerance, "{name} by {differs:e}");
        most = most.max(differs);
    }
    println!("weights differ by at most {most:.1e}");
}

#[test]
fn other_machines_train_the_same_weights() {
    let place = Place::new();
    let server = place.serve_two();
    let [first, second] = [0, 1].map(|i| server.devices[i].as_str());
    for (system, config) in [("sit", sit()), ("photos", photos(8))] {
        let expected = trained(&place, &format!("{system}-here"), &on(config.clone(), &["cpu"]));
        let mut spread = on(config.clone(), &["cpu", first]);
        spread["post_train"]["sharding"] = "optimizer".into();
        let ways = [
            ("there", on(config.clone(), &[first])),
            ("here-and-there", on(config.clone(), &["cpu", first])),
            ("both-there", on(config.clone(), &[first, second])),
            ("spread", spread),
        ];
        for (way, config) in ways {
            let folder = format!("{system}-{way}");
            agree(&trained(&place, &folder, &config), &expected, 1e-5);
            assert_eq!(place.holds(&folder, TOKEN), None, "the token was written");
        }
    }
    assert_eq!(server.terminate(), Some(0));
}

/// Each arm on a device of its own: those of another machine, and of this one beside it.
#[test]
fn arms_are_trained_side_by_side() {
    let place = Place::new();
    let server = place.serve_two();
    let [first, second] = [0, 1].map(|i| server.devices[i].as_str());
    let distances = |folder: &str, devices: &[&str]| -> Vec<f64> {
        let mut config = on(photos(8), devices);
        config["post_train"]["strategy"] = serde_json::json!({"kind": "mixflow", "gamma": 0.3});
        config["compare"] = serde_json::json!({"evaluations": [2], "seeds": [0, 1], "samples": 16, "batch_size": 16});
        place.write("a.json", &config);
        let said = place.run(&["compare", "a.json", "--folder", folder]).done().out;
        if let [one, other] = devices {
            assert!(said.contains(&format!("2 at a time on {one} | {other}\n")), "{said}");
            assert!(devices.iter().all(|device| said.contains(&format!(": done on {device}; "))), "{said}");
        }
        assert_eq!(place.holds(folder, TOKEN), None, "the token was written");
        let results: Value =
            serde_json::from_slice(&std::fs::read(place.path(folder).join("results.json")).unwrap()).unwrap();
        let rows = results["rows"].as_array().unwrap();
        rows.iter().flat_map(|row| row["values"].as_array().unwrap()).map(|value| value.as_f64().unwrap()).collect()
    };
    // Pretraining is on the first, and is not made again.
    let expected = distances("here", &["cpu"]);
    for (folder, devices) in [("both-there", [first, second]), ("here-and-there", ["cpu", first])] {
        let found = distances(folder, &devices);
        assert_eq!(found.len(), expected.len());
        let differs = found.iter().zip(&expected).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        println!("{folder}: distances differ by at most {differs:.1e}");
        assert!(differs < 1e-5, "{folder}: {differs:e}");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn iroh_reaches_a_server_by_its_key() {
    let place = Place::new();
    let server = place.serve(&["--relays", "disabled"]);
    let expected = trained(&place, "here", &on(photos(4), &["cpu"]));
    agree(&trained(&place, "there", &on(photos(4), &[&server.devices[0]])), &expected, 1e-5);
    let other = place.serve(&["--relays", "disabled", "--key-file", "other.key"]);
    agree(&trained(&place, "two", &on(photos(4), &[&server.devices[0], &other.devices[0]])), &expected, 1e-5);
    let again = {
        let name = server.devices[0].clone();
        let port = server.address.port().to_string();
        assert_eq!(server.terminate(), Some(0));
        let server = place.serve(&["--relays", "disabled", "--port", &port]);
        assert_eq!(server.devices[0], name, "the key is kept beside the token");
        server
    };
    drop(again);
}

#[test]
fn what_cannot_be_reached_is_named_before_the_first_step() {
    let place = Place::new();
    let server = place.serve_two();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.token("wrong", "another token");
    place.token("nothing", " \n");
    let nobody = format!("remote:ws://{free}#0");
    let third = server.devices[1].replace("#1", "#2");
    let first = &server.devices[0];
    for (device, token, expected) in [
        (first.as_str(), "wrong", "the server refused the token"),
        (&third, "token", "the server has 2 device(s)"),
        (&nobody, "token", "cannot be reached"),
        (first, "absent", "absent: No such file"),
        (first, "nothing", "it is empty"),
    ] {
        place.write("a.json", &on(photos(4), &[device]));
        let began = Instant::now();
        let mut command = place.command(&["post-train", "a.json", "--folder", "never"]);
        let message = ran(command.env("MIXFLOW_REMOTE_TOKEN_FILE", token).spawn().unwrap()).failed();
        assert!(message.contains(expected) && (token != "token" || message.contains(device)), "{message}");
        assert!(!message.contains("another token"), "{message}");
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
        assert!(!place.path("never/post_train/checkpoints").exists());
    }
    place.write("a.json", &on(photos(4), &[first]));
    let message = ran(place.command(&["check", "a.json"]).env_remove("MIXFLOW_REMOTE_TOKEN_FILE").spawn().unwrap());
    assert!(
        message.out.contains("set MIXFLOW_REMOTE_TOKEN") || message.err.contains("set MIXFLOW_REMOTE_TOKEN"),
        "{message:?}"
    );
    place.write("a.json", &on(photos(4), &["remote:nowhere"]));
    let message = place.run(&["post-train", "a.json"]).failed();
    assert!(message.contains("devices[0] = \"remote:nowhere\": must be \"remote:ws://HOST:PORT#N\""), "{message}");
    place.write("a.json", &on(photos(4), &["cpu", first, &nobody]));
    let message = place.run(&["post-train", "a.json"]).failed();
    assert!(message.contains("no device of another server may stand beside it"), "{message}");
}

#[test]
fn a_server_refuses_a_token_that_is_none_or_known_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.token("nothing", "");
    place.token("shared", "a secret");
    std::fs::set_permissions(place.path("shared"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for (file, expected) in [("absent", "No such file"), ("nothing", "it is empty"), ("shared", "others may read")] {
        let message = place.run(&["serve", "--websocket", "--token-file", file]).failed();
        assert!(message.contains(expected) && message.contains(file), "{message}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let serve = ["serve", "--websocket", "--bind", "127.0.0.1", "--token-file", "token", "--port", &port];
    let message = place.run(&serve).failed();
    assert!(message.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{message}");
}

#[test]
fn a_host_that_is_killed_ends_the_training_and_another_device_goes_on() {
    let steps = 400;
    let place = Place::new();
    let mut config = photos(steps);
    config["post_train"]["steps_per_epoch"] = 10.into();
    let expected = trained(&place, "whole", &on(config.clone(), &["cpu"]));
    for (name, is_first) in [("second", false), ("only", true)] {
        let server = place.serve_two();
        let lost = server.devices[0].clone();
        let devices = if is_first { vec![lost.as_str()] } else { vec!["cpu", &lost] };
        place.write("a.json", &on(config.clone(), &devices));
        let arguments = ["post-train", "a.json", "--folder", name];
        let training = place.command(&arguments).spawn().unwrap();
        until("a checkpoint", || place.path(&format!("{name}/post_train/checkpoints/step-00000020")).exists());
        server.kill();
        let message = ran(training).failed();
        assert!(message.contains(&lost) && message.contains("no longer answers"), "{message}");
        assert!(message.contains("the newest checkpoint is of step "), "{message}");
        place.write("a.json", &on(config.clone(), &["cpu"]));
        let told = place.run(&arguments).done();
        assert!(told.err.contains("trained on ") && told.err.contains(&lost), "{}", told.err);
        agree(&place.weights(name), &expected, 1e-5);
        assert_eq!(place.holds(name, TOKEN), None, "the token was written");
    }
}

#[test]
fn a_host_that_falls_silent_is_not_waited_for() {
    let place = Place::new();
    let server = place.serve_two();
    let proxy = Proxy::to(server.address);
    let device = format!("remote:ws://{}#0", proxy.address);
    place.write("a.json", &on(photos(100_000), &[&device]));
    let training = place.command(&["post-train", "a.json", "--folder", "silent"]).spawn().unwrap();
    until("a checkpoint", || place.path("silent/post_train/metrics/train.csv").exists());
    proxy.cut();
    let message = ran(training).failed();
    assert!(message.contains(&device) && message.contains("no longer answers"), "{message}");
}

/// Prints what travels in a step, and holds it to what docs/scaling.md says.
#[test]
fn bytes_of_a_step() {
    let place = Place::new();
    let server = place.serve_two();
    for (system, config) in [("sit", sit()), ("photos", photos(8))] {
        for (way, here, there, spread, per_parameter) in [
            ("one there", 0, 1, "none", [0.0, 0.0]),
            ("two of one server", 0, 2, "none", [0.0, 0.0]),
            ("one here, one there", 1, 1, "none", [8.0, 4.0]),
            ("one here, one there, spread", 1, 1, "optimizer", [4.5, 4.5]),
        ] {
            let count = |steps: usize| {
                let proxy = Proxy::to(server.address);
                let remote = (0..there).map(|i| format!("remote:ws://{}#{i}", proxy.address));
                let devices: Vec<String> = vec!["cpu".to_string(); here].into_iter().chain(remote).collect();
                let mut config = config.clone();
                config["devices"] = devices.into();
                config["post_train"]["sharding"] = spread.into();
                config["post_train"]["steps"] = steps.into();
                config["post_train"]["steps_per_epoch"] = steps.into();
                let weights = trained(&place, &format!("{system}-{way}-{steps}"), &config);
                let raw = weights.iter().filter(|(name, _)| name.starts_with("raw"));
                let parameters: usize = raw.map(|(_, values)| values.len()).sum();
                (proxy.bytes().map(|bytes| bytes as f64), parameters as f64)
            };
            // The first makes what all start from; what else comes before and after the steps is the same in all.
            count(4);
            let [few, many] = [8, 48];
            let ((before, parameters), (after, _)) = (count(few), count(many));
            let [sent, received] = [0, 1].map(|i| (after[i] - before[i]) / (many - few) as f64);
            println!(
                "{system}, {way}: gradients {:.0} bytes; in a step {sent:.0} bytes there, {received:.0} back",
                4.0 * parameters
            );
            let operations = [150e3 * there as f64, 3e3];
            for ((found, per_parameter), more) in [sent, received].into_iter().zip(per_parameter).zip(operations) {
                assert!(found < per_parameter * parameters + more, "more than docs/scaling.md says");
            }
        }
    }
}
