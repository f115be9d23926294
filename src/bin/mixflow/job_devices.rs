//! Which devices the jobs of a table compute on, so that arms are trained side by side.
use burn_mixflow::experiment::Comparison;
use burn_mixflow::post_train::DeviceName;
use burn_mixflow::train::Sharding;

/// The devices of each process that works at the same time as the others. Its jobs are done in turn.
///
/// * `workers` = 0: one process for each device; where all of them are the CPU, one for each core, as two on one core
///   each are faster than one on two.
/// * `workers` = 1: one process on all devices, which share every batch.
/// * More: that many, and the devices in turn.
///
/// Weights that are spread over the devices need all of them in each process.
pub fn of_workers(comparison: &Comparison, cores: usize) -> Vec<Vec<DeviceName>> {
    let config = comparison.experiment().config();
    let spread = comparison.arms().iter().any(|arm| arm.stage.sharding == Sharding::Optimizer);
    sets(&config.devices, config.compare.workers, spread, cores)
}

fn sets(devices: &[DeviceName], workers: usize, spread: bool, cores: usize) -> Vec<Vec<DeviceName>> {
    let cpu = devices.iter().all(|device| device.0 == "cpu");
    let together = spread && devices.len() > 1;
    let count = match workers {
        0 if together => 1,
        0 if cpu => cores.max(1),
        0 => devices.len(),
        several => several,
    };
    match together || count == 1 {
        true => vec![devices.to_vec(); count],
        false => devices.iter().cycle().take(count).map(|device| vec![device.clone()]).collect(),
    }
}

/// `cuda:0 | cuda:1`, each only once.
pub fn list(sets: &[Vec<DeviceName>]) -> String {
    let mut names: Vec<String> = Vec::new();
    for set in sets {
        let name = name(set);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(" | ")
}

/// `cuda:0 + cuda:1` for devices that work together.
pub fn name(set: &[DeviceName]) -> String {
    set.iter().map(|device| device.0.as_str()).collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<DeviceName> {
        list.iter().map(|name| DeviceName((*name).into())).collect()
    }

    fn of(devices: &[&str], workers: usize, spread: bool) -> Vec<String> {
        sets(&names(devices), workers, spread, 2).iter().map(|set| name(set)).collect()
    }

    #[test]
    fn each_device_has_a_process_unless_the_weights_are_spread_over_them() {
        let two = ["cuda:0", "remote:abc#0"];
        assert_eq!(of(&two, 0, false), two);
        assert_eq!(of(&two, 1, false), ["cuda:0 + remote:abc#0"]);
        assert_eq!(of(&two, 3, false), ["cuda:0", "remote:abc#0", "cuda:0"]);
        assert_eq!(of(&two, 0, true), ["cuda:0 + remote:abc#0"]);
        assert_eq!(of(&["cuda:1"], 0, false), ["cuda:1"]);
        assert_eq!(of(&["cuda:1"], 2, true), ["cuda:1", "cuda:1"]);
    }

    #[test]
    fn each_core_has_a_process_on_the_cpu() {
        assert_eq!(of(&["cpu"], 0, false), ["cpu", "cpu"]);
        assert_eq!(of(&["cpu", "cpu"], 0, false), ["cpu", "cpu"]);
        assert_eq!(of(&["cpu"], 1, false), ["cpu"]);
        assert_eq!(of(&["cpu", "cpu"], 0, true), ["cpu + cpu"]);
    }

    #[test]
    fn a_device_is_listed_once() {
        assert_eq!(list(&[names(&["cpu"]), names(&["cpu"]), names(&["wgpu:0", "wgpu:1"])]), "cpu | wgpu:0 + wgpu:1");
    }
}
