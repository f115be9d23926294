//! Keys of configurations as they were, and how they are called now.
use crate::Problem;
use serde_json::Value;

/// Where the key was, and what a user does instead.
const RETIRED: [(&str, &str); 26] = [
    ("/device", "is called `devices` now, a list: [\"cpu\"]"),
    ("/path", "is `flow.path` now"),
    ("/prediction", "is `flow.prediction` now"),
    ("/loss_weight", "is `flow.loss_weight` now"),
    ("/pretrain", "is `start` now, with \"kind\": \"pretrain\""),
    ("/weights", "is `start` now, with \"kind\": \"weights\""),
    ("/arms", "is `compare.arms` now"),
    ("/control", "is `compare.control` now"),
    ("/samplers", "is `compare.samplers` now"),
    ("/evaluations", "is `compare.evaluations` now"),
    ("/seeds", "is `compare.seeds` now"),
    ("/samples", "is `compare.samples` now"),
    ("/batch_size", "is `compare.batch_size` now"),
    ("/feature_seed", "is `compare.feature_seed` now"),
    ("/reference", "is `compare.reference` now"),
    ("/workers", "is `compare.workers` now"),
    ("/evaluate", "is gone: steps, samples and seeds are in `compare`, the solver is in `sample.sampler`"),
    ("/evaluate/solver", "is `sample.sampler.solver` now"),
    ("/evaluate/steps", "is `compare.evaluations` now, network evaluations instead of steps"),
    ("/evaluate/samples", "is `compare.samples` now"),
    ("/evaluate/batch_size", "is `compare.batch_size` now"),
    ("/evaluate/guidance", "is `sample.sampler.guidance` now"),
    ("/evaluate/feature_seed", "is `compare.feature_seed` now"),
    ("/gamma_search/steps", "is `gamma_search.evaluations` now, network evaluations instead of steps"),
    ("/run", "is gone: what stood in `run` stands at the top now"),
    ("/probe", "is `slow_flow` now"),
];

/// Every key that has another name now; those below a key that is itself named only if it is not.
pub(super) fn problems(config: &Value) -> Vec<Problem> {
    let there = RETIRED.iter().filter(|(pointer, _)| config.pointer(pointer).is_some());
    let problem = |(pointer, message): &(&str, &str)| Problem {
        path: pointer.trim_start_matches('/').replace('/', "."),
        message: message.to_string(),
    };
    let mut problems: Vec<Problem> = there.map(problem).collect();
    for place in ["/compare/arms", "/arms"] {
        let arms = config.pointer(place).and_then(Value::as_array);
        for (i, arm) in arms.into_iter().flatten().enumerate() {
            if arm.get("weights").is_some_and(|weights| weights == "pretrained") {
                let path = format!("{}[{i}].weights", place.trim_start_matches('/').replace('/', "."));
                problems.push(Problem { path, message: "= \"pretrained\": is called \"start\" now".into() });
            }
        }
    }
    let latents = config.get("data").filter(|data| data.get("kind").is_none() && data.get("folder").is_some());
    if latents.is_some() {
        let message = "needs \"kind\": \"latents\" (or \"images\") beside \"folder\" now".into();
        problems.push(Problem { path: "data".into(), message });
    }
    problems
}
