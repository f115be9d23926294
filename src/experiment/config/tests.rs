use super::*;

const START: &str = r#"{"data": {"kind": "photos"}, "network": {"kind": "residual_mlp"}"#;

fn parsed(extra: &str) -> crate::Result<ExperimentConfig> {
    ExperimentConfig::parse(&format!("{START}{extra}}}"))
}

fn problems(extra: &str) -> String {
    parsed(extra).map_or_else(|e| e.to_string(), |_| String::new())
}

#[test]
fn data_and_a_network_are_enough() {
    let config = parsed(r#", "post_train": {"strategy": {"kind": "mixflow", "gamma": 0.2}}"#).unwrap();
    let arms = config.arms();
    let names: Vec<_> = arms.iter().map(|arm| arm.name.as_str()).collect();
    assert_eq!(names, ["no post-training", "control", "MixFlow"]);
    assert_eq!(arms[1].stage.strategy, StrategyConfig::standard());
    assert_eq!(arms[2].stage.strategy, StrategyConfig::mixflow(0.2));
    assert_eq!(config.samplers()[0].name, "Euler");
    assert_eq!(config.start, StartConfig::default());
}

#[test]
fn a_control_and_a_sweep_are_arms() {
    let arms = r#", "compare": {"arms": [{"name": "control"},
        {"name": "MixFlow", "strategy": {"kind": "mixflow"}, "gammas": [0, 0.5]}]}"#;
    let config = parsed(arms).unwrap();
    let names: Vec<_> = config.arms().into_iter().map(|arm| arm.name).collect();
    assert_eq!(names, ["control", "MixFlow γ=0", "MixFlow γ=0.5"]);
    assert_eq!(config.arms()[2].stage.strategy, StrategyConfig::mixflow(0.5));
    assert_eq!(config.compare.evaluations, [5, 10, 20, 50]);
}

#[test]
fn an_exact_start_trains_nothing() {
    let ring = r#"{"data": {"kind": "ring"}, "network": {"kind": "residual_mlp", "channels": 2, "size": 1},
        "start": {"kind": "exact"}, "post_train": {"strategy": {"kind": "mixflow", "gamma": 0.8}}}"#;
    let arms = ExperimentConfig::parse(ring).unwrap().arms();
    assert!(arms.len() == 2 && arms.iter().all(|arm| arm.weights == ArmWeights::Exact));
    let photos = problems(r#", "start": {"kind": "exact"}, "compare": {"arms": [{"name": "control"}]}"#);
    assert!(photos.contains("known only for the velocity of a ring"), "{photos}");
}

#[test]
fn what_is_trained_is_not_compared_with_what_it_was_trained_on() {
    let trained = problems(r#", "compare": {"reference": "training"}"#);
    assert!(
        trained.contains("compare.reference = \"training\": must be") && trained.contains("`control`"),
        "{trained}"
    );
    let start = r#"[{"name": "as it is", "weights": "start"}], "control": "as it is""#;
    assert_eq!(problems(&format!(r#", "compare": {{"reference": "training", "arms": {start}}}"#)), "");
}

#[test]
fn gamma_may_be_left_to_be_chosen() {
    let auto = r#", "post_train": {"strategy": {"kind": "mixflow", "gamma": "auto"}}"#;
    let config = parsed(auto).unwrap();
    assert!(config.gamma_is_auto());
    let kept = config.to_json().unwrap();
    assert_eq!(kept["post_train"]["strategy"]["gamma"], "auto");
    assert_eq!(ExperimentConfig::parse(&kept.to_string()).unwrap(), config);
    let chosen = config.with_gamma(0.3);
    assert!(!chosen.gamma_is_auto() && chosen.post_train.strategy == StrategyConfig::mixflow(0.3));
    assert_eq!(chosen.clone().with_gamma(0.7), chosen);
    let elsewhere =
        problems(r#", "compare": {"arms": [{"name": "control", "strategy": {"kind": "mixflow", "gamma": "auto"}}]}"#);
    assert!(elsewhere.contains("compare.arms[0].strategy.gamma"), "{elsewhere}");
}

#[test]
fn renamed_keys_say_how_they_are_called_now() {
    let text = problems(
        r#", "device": "cpu", "pretrain": {}, "evaluate": {"steps": [5]}, "seeds": [0], "gamma_search": {"steps": [5]},
            "compare": {"arms": [{"name": "a", "weights": "pretrained"}]}"#,
    );
    for expected in [
        "device is called `devices` now",
        "pretrain is `start` now",
        "evaluate.steps is `compare.evaluations` now",
        "seeds is `compare.seeds` now",
        "gamma_search.steps is `gamma_search.evaluations` now",
        "compare.arms[0].weights = \"pretrained\": is called \"start\" now",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = problems(
        r#", "devices": ["tpu"], "flow": {"loss_weight": "likelihood"}, "post_train": {
            "strategy": {"kind": "mixflow", "gamma": 1.1}, "target": "training", "steps": 10, "steps_per_epoch": 3,
            "condition_dropout": 0.1, "anti_drift": {}, "magnitude": {"power": -1}, "ema": {"decay": 1.0}, "optimizer": {"learning_rate": 0},
            "schedule": {"final_fraction": 0.5}},
        "start": {"kind": "pretrain", "strategy": {"kind": "beta"}},
        "sample": {"sampler": {"steps": 5, "batch_size": 4, "guidance": {"scale": 2.0}}},
        "gamma_search": {"gammas": [0.1, 2], "seeds": [1], "pilot_steps": 2000, "samples": 1, "evaluations": [5, 5]},
        "slow_flow": {"samples": 3, "definitions": ["distribution", "distribution"]},
        "compare": {"seeds": [1, 1], "evaluations": [0, 3], "samples": 1, "batch_size": 0, "control": "c",
            "arms": [{"name": "a", "gammas": [2]}, {"name": "a", "weights": "exact"},
                {"name": "b", "weights": "start", "strategy": {"kind": "beta"}, "input": {"kind": "perturbation", "gamma": 1}},
                {"name": "e", "strategy": {"kind": "mixflow"}, "gammas": [0, 0.1], "anti_drift": {"weight": 0}, "magnitude": {"weight": -1}}, {"name": "b"}]}"#,
    );
    for expected in [
        "post_train.strategy.gamma = 1.1: must be in [0, 1]",
        "devices[0] = \"tpu\"",
        "flow.loss_weight : must be \"uniform\"",
        "post_train.target would be ignored",
        "post_train.steps_per_epoch = 3: must divide steps = 10",
        "post_train.condition_dropout = 0.1: the network has no null condition",
        "post_train.anti_drift : needs a strategy whose slowed timestep is the training timestep",
        "post_train.magnitude.power = -1: must be in [0, 100]",
        "post_train.ema.decay = 1: must be in [0, 1)",
        "post_train.optimizer.learning_rate = 0: must be in (0, 1]",
        "post_train.schedule.final_fraction = 0.5: would be ignored",
        "start.strategy : must be {\"kind\": \"standard\"}",
        "sample.sampler.guidance : the network has no null condition",
        "gamma_search.gammas = [0.1, 2.0]",
        "gamma_search.seeds = [1]: must be others than those of `compare`",
        "gamma_search.pilot_steps = 2000: must be in 1..=10",
        "gamma_search.samples = 1",
        "gamma_search.evaluations = [5, 5]",
        "slow_flow.samples = 3",
        "slow_flow.definitions : must not name one twice",
        "compare.seeds : must not repeat",
        "compare.evaluations = [0, 3]: must each be in",
        "compare.samples = 1: must be at least 2",
        "compare.batch_size = 0: must be at least 1",
        "compare.control = \"c\": must be the name of an arm, one of a",
        "compare.arms[0].gammas : the strategy must be",
        "compare.arms[0].gammas = 2: must be in [0, 1]",
        "compare.arms[1].weights = \"exact\" of `a`: known only",
        "compare.arms[2].input : would be ignored",
        "compare.arms[2].strategy : would be ignored",
        "compare.arms[3].anti_drift.weight = 0: must be finite and greater than 0",
        "compare.arms[3].magnitude.weight = -1: must be finite and greater than 0",
        "compare.arms : must not repeat",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn samplers_that_would_leave_a_table_without_a_comparison_are_named() {
    let text = problems(
        r#", "compare": {"arms": [{"name": "control"}, {"name": "other"}], "samplers": [
            {"name": "Euler", "arms": ["other"]}, {"name": "Euler", "solver": "heun", "evaluations": [4]},
            {"name": " ", "arms": []}]}"#,
    );
    for expected in [
        "compare.samplers : must not repeat a name",
        "compare.samplers : each needs a name",
        "compare.samplers : `Euler`, the first, must sample the control `control`",
        "compare.samplers[2].arms : must name an entry of arms",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

/// Only a comparison needs fixed steps.
#[test]
fn the_sampler_of_a_run_may_be_adaptive() {
    let adaptive = r#""sample": {"sampler": {"solver": {"dopri5": {}}, "steps": 5, "batch_size": 4}}"#;
    assert_eq!(problems(&format!(", {adaptive}")), "");
    let own = r#""compare": {"samplers": [{"name": "a", "solver": {"dopri5": {}}}]}"#;
    assert!(problems(&format!(", {own}")).contains("compare.samplers[0].solver : must have fixed steps"));
}

#[test]
fn what_a_sampler_cannot_do_is_named() {
    let text = problems(
        r#", "compare": {"evaluations": [5], "arms": [{"name": "control"}],
            "samplers": [{"name": "s", "solver": "rk4", "arms": ["c"]}, {"name": "d", "solver": "heun",
                "guidance": {"scale": 2}, "corrections": [{"kind": "differential", "low": 0.1}]}]}"#,
    );
    for expected in [
        "compare.samplers[0].solver : a step takes",
        "compare.samplers[0].arms = \"c\": must be the name of an entry of arms",
        "compare.samplers[1].corrections[0] : the differential correction is one of Euler's step",
        "compare.samplers[1].guidance : the network has no null condition",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn bytes_follow_the_rule_of_the_system_unless_the_file_says_otherwise() {
    use crate::data::PixelRule;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let rule = |name: &str| ExperimentConfig::read(folder.join(name)).unwrap().pixel_rule();
    let rules = ["sit/paper-b-256.json", "repa/xl-256.json", "rae/xl-256.json", "sd35/medium.json"].map(rule);
    let [sit, repa, rae, sd35] = ["SiT", "REPA", "RAE", "SD3.5"].map(|system| PixelRule::of_system(system).unwrap());
    assert_eq!(rules, [sit, repa, rae, sd35]);
    let own = parsed(r#", "sample": {"pixel_rule": "truncated"}"#).unwrap();
    assert_eq!((own.pixel_rule(), own.picture_sides([1, 16, 16])), (PixelRule::Truncated, [16, 16]));
    let sides = |name: &str, shape| ExperimentConfig::read(folder.join(name)).unwrap().picture_sides(shape);
    assert_eq!(sides("sit/paper-xl-512.json", [4, 64, 64]), [512, 512]);
    assert_eq!(sides("rae/paper-xl-512.json", [768, 32, 32]), [512, 512]);
    let wrong = problems(r#", "sample": {"pixel_rule": "truncated_unit"}"#);
    assert!(wrong.contains("sample.pixel_rule : truncated_unit is for values in [0, 1], RAE's"), "{wrong}");
}

#[test]
fn prompts_need_a_network_that_reads_text_and_encoders_that_fit_it() {
    let text = r#"{"files": {"clip_l": "l", "clip_g": "g", "t5": "t", "clip_tokenizer": "c", "t5_tokenizer": "s"}}"#;
    let wrong =
        problems(&format!(r#", "sample": {{"prompts": {{"file": "a.txt", "per_prompt": 0, "text": {text}}}}}"#));
    for expected in [
        "sample.prompts.per_prompt = 0: must be from 1 to 1000000",
        "sample.prompts.text.files.t5_length.most = 256: must be 77, as `least`: every text and the empty one need one length",
        "sample.prompts : needs `sample.autoencoder`",
        "sample.prompts : only a network of kind \"mmdit\" reads text",
    ] {
        assert!(wrong.contains(expected), "`{expected}` is not in:\n{wrong}");
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let set = ["network.context_width=4000", "network.pooled_width=2000"].map(String::from);
    let wrong = ExperimentConfig::read_with(folder.join("sd35/paper-medium.json"), &set).unwrap_err().to_string();
    for expected in [
        "sample.prompts.text.sizes.t5.d_model = 4096: must be 4000, `network.context_width`",
        "sample.prompts.text.sizes.clip_g.projection_dim = 1280: must be 1232, `network.pooled_width` less the 768 of CLIP-L",
    ] {
        assert!(wrong.contains(expected), "`{expected}` is not in:\n{wrong}");
    }
}

#[test]
fn a_gfid_needs_pictures_and_asks_for_as_many_samples_as_are_configured() {
    let gfid = r#"{"inception": "i.pth", "reference": "r.npz"}"#;
    let config = parsed(&format!(r#", "compare": {{"gfid": {gfid}}}"#)).unwrap();
    let names: Vec<&str> = config.metrics().iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["frechet_random_convolutions", "frechet_pixels", "frechet_texture", "gfid"]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let read = |name: &str| ExperimentConfig::read(folder.join(name)).unwrap();
    let (paper, plain) = (read("sit/paper-xl-256.json"), read("sit/xl-256.json"));
    assert_eq!((paper.cell_samples(2048), plain.cell_samples(1024)), (50_000, 1024));
    let mut vectors =
        r#"{"data": {"kind": "ring"}, "network": {"kind": "residual_mlp", "channels": 2, "size": 1}"#.to_string();
    vectors += &format!(r#", "compare": {{"gfid": {gfid}}}}}"#);
    let error = ExperimentConfig::parse(&vectors).unwrap_err().to_string();
    assert!(error.contains("compare.gfid : needs pictures"), "{error}");
}
