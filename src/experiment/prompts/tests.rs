//! Prompts of both benchmarks in, scores of both benchmarks back.
use super::*;
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn geneval(arm: &str, scores: &[(&str, usize, &str, &str, bool)]) -> String {
    let line = |&(prompt, number, tag, text, correct): &(&str, usize, &str, &str, bool)| {
        // As pandas writes it, with slashes escaped.
        let file = format!("{arm}/{prompt}/samples/{number:04}.png").replace('/', "\\/");
        format!(
            "{{\"filename\":\"{file}\",\"tag\":\"{tag}\",\"prompt\":\"{text}\",\"correct\":{correct},\"reason\":\"\"}}\n"
        )
    };
    scores.iter().map(line).collect()
}

#[test]
fn both_kinds_of_prompts_are_read_as_their_own_programs_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let lines = r#"{"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "a photo of two cats"}"#;
    let set = PromptSet::read(written(&folder, "a.jsonl", &format!("{lines}\n\n"))).unwrap();
    assert_eq!((set.benchmark(), set.prompts().len()), (Benchmark::GenEval, 1));
    assert_eq!((set.prompts()[0].text.as_str(), set.prompts()[0].line()), ("a photo of two cats", lines));
    let text = "a green bench\tunused\r\nTwo cats.\r\n";
    let set = PromptSet::read(written(&folder, "a.txt", text)).unwrap();
    assert_eq!(
        set.prompts().iter().map(|prompt| prompt.text.as_str()).collect::<Vec<_>>(),
        ["a green bench", "Two cats."]
    );
    let first = &set.prompts()[0];
    assert_eq!(first.noise_position(3), PromptSet::read(set.path()).unwrap().prompts()[0].noise_position(3));
    assert_ne!(first.noise_position(0), first.noise_position(1));
    assert_ne!(first.noise_position(0), set.prompts()[1].noise_position(0));
    for (name, text, says) in [
        ("b.jsonl", r#"{"tag": "colors", "prompt": "a cat"}"#, "line 1: has no `include`"),
        ("c.jsonl", "cat\n", "line 1: expected value"),
        ("b.txt", "\n \n", "holds no prompt"),
        ("c.txt", "cat\n\tdog\n", "line 2: begins with a tab"),
        ("d.csv", "cat\n", "must be GenEval's evaluation_metadata.jsonl"),
    ] {
        let error = PromptSet::read(written(&folder, name, text)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn prompts_that_are_no_names_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let (long, fits) = ("é".repeat(123), "n".repeat(244));
    let text = format!("a cat\n1/2 cats\n{long}\na cat\nsnake_case\n{fits}\nis it a cat?\n");
    let set = PromptSet::read(written(&folder, "a.txt", &text)).unwrap();
    let error = set.check_names().unwrap_err().to_string();
    for says in [
        "4 prompt(s)",
        "`1/2 cats` holds '/'",
        "makes a name of 257 bytes: must be at most 255",
        "`a cat` is prompt 1 and prompt 4",
        "`snake_case` holds '_'",
    ] {
        assert!(error.contains(says), "{says} is not in {error}");
    }
    let line = |prompt: &str| json!({"tag": "a", "include": [], "prompt": prompt}).to_string();
    let lines = [line("1/2_cats"), line("1/2_cats")].join("\n");
    PromptSet::read(written(&folder, "a.jsonl", &lines)).unwrap().check_names().unwrap();
}

#[test]
fn differences_and_errors_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [("00000", 0), ("00000", 1), ("00001", 0), ("00001", 1), ("00002", 0), ("00003", 0)];
    let tags = ["colors", "colors", "colors", "colors", "position", "position"];
    let of = |arm: &str, correct: [bool; 6]| {
        let mut rows: Vec<_> = (0..6).map(|i| (keys[i].0, keys[i].1, tags[i], "a prompt", correct[i])).collect();
        // In whatever order the scorer listed its folders.
        rows.rotate_left(arm.len() % 5);
        written(&folder, &format!("{arm}.jsonl"), &geneval(&format!("/data/{arm}"), &rows))
    };
    let read = |file: PathBuf| ScoredPictures::read(file, 1).unwrap();
    let (a, b) = (
        read(of("none", [false, false, true, false, true, true])),
        read(of("mixflow", [true, true, true, false, false, true])),
    );
    let found = PairedScores::new(&a, &b).unwrap();
    assert_eq!(found.categories.iter().map(|one| one.category.as_str()).collect::<Vec<_>>(), ["colors", "position"]);
    let colors = &found.categories[0];
    // Differences 1, 1 of one prompt and 0, 0 of the other: their means 1 and 0 have the standard error 1/2.
    assert_eq!((colors.first, colors.second, colors.difference, colors.standard_error), (0.25, 0.75, 0.5, Some(0.5)));
    assert_eq!((colors.prompts, colors.pictures), (2, 4));
    // Differences −1 and 0.
    let position = &found.categories[1];
    assert_eq!((position.difference, position.standard_error), (-0.5, Some(0.5)));
    assert_eq!((found.overall.first, found.overall.second, found.overall.difference), (0.625, 0.625, 0.0));
    assert!((found.overall.standard_error.unwrap() - 0.5f64.sqrt() / 2.0).abs() < 1e-15);
    let text = found.markdown();
    assert!(text.contains("| colors | 2 | 4 | 0.2500 | 0.7500 | +0.5000 ± 0.5000 |"), "{text}");
    let few = read(written(&folder, "few.jsonl", &geneval("few", &[("00000", 0, "colors", "a prompt", true)])));
    let error = PairedScores::new(&a, &few).unwrap_err().to_string();
    assert!(error.contains("00001/samples/0000.png is only in"), "{error}");
    assert_eq!(PairedScores::new(&few, &few).unwrap().overall.standard_error, None);
}

#[test]
fn scores_of_t2i_compbench_are_texts_or_numbers_of_consecutive_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, answers: [f64; 4]| {
        let rows = [2, 3, 0, 1].map(|id| match id {
            0 => json!({"question_id": id, "answer": answers[id]}),
            _ => json!({"question_id": id, "answer": format!("{:.4}", answers[id])}),
        });
        ScoredPictures::read(written(&folder, name, &json!(rows).to_string()), 2).unwrap()
    };
    let (a, b) = (of("a.json", [0.5, 0.25, 0.75, 0.25]), of("b.json", [0.75, 0.5, 0.75, 0.75]));
    let found = PairedScores::new(&a, &b).unwrap();
    assert_eq!((found.categories.len(), found.overall.prompts), (1, 2));
    // 0.25, 0.25 and 0, 0.5: both prompts differ by 0.25.
    assert_eq!((found.overall.difference, found.overall.standard_error), (0.25, Some(0.0)));
    for (text, says) in [
        (r#"[{"question_id": 0, "answer": "nan"}]"#, "entry 0: `answer` is \"nan\""),
        (r#"[{"question_id": "0", "answer": 1}]"#, "`question_id` is \"0\""),
        (r#"[{"question_id": 0, "answer": 1}, {"question_id": 0, "answer": 1}]"#, "scores 00000000 twice"),
        ("[]", "holds no score"),
        ("{}", "must be [{"),
    ] {
        let error = ScoredPictures::read(written(&folder, "c.json", text), 2).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let wrong = geneval("x", &[("", 0, "colors", "a", true)]).replace("samples", "sample");
    let error = ScoredPictures::read(written(&folder, "d.jsonl", &wrong), 1).unwrap_err().to_string();
    assert!(error.contains("line 1: `filename` is"), "{error}");
}
