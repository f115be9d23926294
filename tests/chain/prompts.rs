//! Text to image: the folders that the scorers of GenEval and T2I-CompBench read, and what they write.
use crate::formula::is_table_of_text;
use crate::stages::{autoencoder, count, done, files, killed, refused, same, shipped, write_weights};
use burn_mixflow::models::encoders::autoencoder_kl::AutoencoderKlConfig;
use burn_mixflow::models::encoders::clip_text::ClipTextConfig;
use burn_mixflow::models::encoders::sd3_text::SdTextSizes;
use burn_mixflow::models::encoders::t5::T5EncoderConfig;
use serde_json::{Value, json};
use std::path::Path;

const PROMPTS: [&str; 3] = ["a cat", "the ale", "a cat and a dog"];

/// Encoders whose condition is that of the shipped network.
fn sizes() -> SdTextSizes {
    let clip_l = ClipTextConfig {
        vocab_size: 614,
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        ..ClipTextConfig::l()
    };
    let clip_g = ClipTextConfig { hidden_size: 12, projection_dim: Some(16), ..clip_l.clone() };
    let t5 = T5EncoderConfig {
        vocab_size: 88,
        d_model: 40,
        d_kv: 8,
        d_ff: 40,
        num_layers: 2,
        num_heads: 4,
        ..T5EncoderConfig::xxl()
    };
    SdTextSizes { clip_l, clip_g, t5 }
}

/// A finished post-training of the shipped small network, with what is needed to draw pictures of prompts.
fn prepare(folder: &Path) {
    let sizes = sizes();
    let of = [("l", sizes.clip_l.parameters()), ("g", sizes.clip_g.parameters()), ("t5", sizes.t5.parameters())];
    for (name, parameters) in of {
        write_weights(&folder.join(name), parameters, is_table_of_text, |_| 1.0);
    }
    let vae = AutoencoderKlConfig { latent_channels: 16, use_quant_conv: false, ..autoencoder() };
    write_weights(&folder.join("vae.safetensors"), vae.parameters(), |_| false, |_| 1.0);
    let line = |text: &&str| json!({"tag": "colors", "include": [{"class": "cat"}], "prompt": text}).to_string();
    std::fs::write(folder.join("prompts.jsonl"), PROMPTS.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    std::fs::write(folder.join("prompts.txt"), PROMPTS.join("\n")).unwrap();
    let golden = |name: &str| shipped("tests/golden/encoders").join(name);
    let mut config: Value = serde_json::from_slice(&std::fs::read(shipped("configs/sd35/tiny.json")).unwrap()).unwrap();
    for (section, key) in [("data", "folder"), ("data", "text"), ("start", "file")] {
        config[section][key] = json!(shipped(config[section][key].as_str().unwrap()));
    }
    (config["post_train"]["steps"], config["post_train"]["steps_per_epoch"]) = (2.into(), 2.into());
    config["sample"]["count"] = 1.into();
    config["sample"]["sampler"]["steps"] = 3.into();
    config["sample"]["autoencoder"] = json!({"network": vae, "weights": {"file": "vae.safetensors"}});
    config["sample"]["prompts"] = json!({
        "file": "prompts.jsonl",
        "per_prompt": 2,
        "text": {
            "files": {"clip_l": "l", "clip_g": "g", "t5": "t5", "clip_tokenizer": golden("clip_tokenizer.json"),
                "t5_tokenizer": golden("t5_tokenizer.json"), "batch": 2,
                "t5_length": {"least": 20, "most": 20, "characters": null}},
            "sizes": sizes,
        },
    });
    std::fs::write(folder.join("sd.json"), config.to_string()).unwrap();
    done(folder, &["post-train", "sd.json", "--folder", "run"]);
}

#[test]
fn pictures_of_prompts_are_where_their_scorers_look() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    done(folder, &["sample", "run", "--folder", "whole"]);
    let names: Vec<String> = files(&folder.join("whole")).keys().map(|path| path.display().to_string()).collect();
    let of = |prompt: usize| {
        ["metadata.jsonl", "samples/0000.png", "samples/0001.png"].map(|name| format!("{prompt:05}/{name}"))
    };
    assert_eq!(names, [&of(0)[..], &of(1), &of(2), &["samples.json".to_string()]].concat());
    let line = std::fs::read_to_string(folder.join("whole/00002/metadata.jsonl")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["prompt"], PROMPTS[2]);

    // Killed, and in batches of another size: the embedded prompts and the noise stay the same.
    killed(folder, &["sample", "run", "--folder", "parts"], |folder| count(&folder.join("parts"), ".png") >= 1);
    done(folder, &["sample", "run", "--folder", "parts"]);
    same(&folder.join("whole"), &folder.join("parts"));
    let batch = ["sample", "run", "--folder", "batch", "--set", "sample.sampler.batch_size=5"];
    done(folder, &batch);
    same(&folder.join("whole"), &folder.join("batch"));

    // The noise of a prompt is a function of its text, so that another file has the same pictures of it.
    std::fs::write(folder.join("prompts.txt"), [PROMPTS[2], PROMPTS[0]].join("\n")).unwrap();
    done(folder, &["sample", "run", "--folder", "bench", "--set", "sample.prompts.file=prompts.txt"]);
    for (name, from) in [
        ("a cat and a dog_000000.png", "00002/samples/0000.png"),
        ("a cat and a dog_000001.png", "00002/samples/0001.png"),
        ("a cat_000002.png", "00000/samples/0000.png"),
        ("a cat_000003.png", "00000/samples/0001.png"),
    ] {
        let read = |file: &Path| std::fs::read(file).unwrap();
        let (found, expected) = (folder.join("bench/samples").join(name), folder.join("whole").join(from));
        assert!(read(&found) == read(&expected), "{name} is not {from}");
    }
    let pictures = ["whole/00000/samples/0000.png", "whole/00000/samples/0001.png", "whole/00001/samples/0000.png"];
    let [a, b, c] = pictures.map(|name| std::fs::read(folder.join(name)).unwrap());
    assert!(a != b && a != c, "pictures that must differ do not");

    std::fs::write(folder.join("prompts.txt"), "1/2 cats\na_cat").unwrap();
    let bad = ["sample", "run", "--folder", "bad", "--set", "sample.prompts.file=prompts.txt"];
    let error = refused(folder, &bad);
    assert!(error.contains("`1/2 cats` holds '/'") && error.contains("`a_cat` holds '_'"), "{error}");
    assert_eq!(count(&folder.join("bad"), ".png"), 0);
    let length = "sample.prompts.text.files.t5_length.most=30";
    let error = refused(folder, &["sample", "run", "--folder", "bad", "--set", length]);
    assert!(error.contains("sample.prompts.text.files.t5_length.most = 30: must be 20, as `least`"), "{error}");
    let error = refused(folder, &["sample", "run", "--folder", "bad", "--as", "npz"]);
    assert!(error.contains("scorers read single pictures"), "{error}");
}

#[test]
fn scores_of_two_arms_are_compared_picture_by_picture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, correct: [bool; 4]| {
        let line = |(i, correct): (usize, bool)| {
            let (prompt, tag) = (i / 2, ["colors", "position"][i / 2]);
            let filename = format!("/{name}/{prompt:05}/samples/{:04}.png", i % 2);
            json!({"filename": filename, "tag": tag, "prompt": PROMPTS[prompt], "correct": correct}).to_string()
        };
        let lines: Vec<String> = correct.into_iter().enumerate().map(line).collect();
        std::fs::write(folder.join(format!("{name}.jsonl")), lines.join("\n")).unwrap();
    };
    write("control", [true, false, false, false]);
    write("mixflow", [true, true, false, true]);
    let found = done(folder, &["evaluate", "control.jsonl", "mixflow.jsonl", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["categories"][0]["category"], "colors");
    assert_eq!((&found["overall"]["first"], &found["overall"]["difference"]), (&json!(0.25), &json!(0.5)));
    let table = done(folder, &["evaluate", "control.jsonl", "mixflow.jsonl"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("| colors | 1 | 2 | 0.5000 | 1.0000 | +0.5000 |"), "{table}");
    std::fs::write(
        folder.join("a.json"),
        r#"[{"question_id": 0, "answer": "0.5"}, {"question_id": 1, "answer": "0.7"}]"#,
    )
    .unwrap();
    let found = done(folder, &["evaluate", "a.json", "a.json", "--per-prompt", "1", "--json"]);
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&found["overall"]["prompts"], &found["overall"]["difference"]), (&json!(2), &json!(0.0)));
}
