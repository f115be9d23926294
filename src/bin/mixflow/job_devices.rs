//! Which devices the jobs of a table compute on, so that arms are trained side by side.
use burn_mixflow::experiment::Comparison;
use burn_mixflow::post_train::DeviceName;
use burn_mixflow::train::Sharding;

/// The devices of each process that works at the same time as the others, of which there are no more than `jobs`. The jobs
/// of a process are done in turn.
///
/// * `workers` = 0: one process for each device; where all of them are the CPU, one for each core, as two on one core
///   each are faster than one on two.
/// * `workers` = 1: one process on all devices, which share every batch.
/// * More: that many, and the devices in turn.
///
/// Weights that are spread over the devices need all of them in each process. Where nothing is trained and there are fewer jobs
/// than devices, a job samples on several.
pub fn of_workers(comparison: &Comparison, jobs: usize, cores: usize) -> Vec<Vec<DeviceName>> {
    let config = comparison.experiment().config();
    let spread = comparison.arms().iter().any(|arm| arm.stage.sharding == Sharding::Optimizer);
    let table = Table { jobs, spread, trains: comparison.trains() };
    sets(&config.devices, config.compare.workers, table, cores)
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
struct Table {
    jobs: usize,
    /// Whether weights are spread over the devices.
    spread: bool,
    trains: bool,
}

fn sets(devices: &[DeviceName], workers: usize, table: Table, cores: usize) -> Vec<Vec<DeviceName>> {
    let cpu = devices.iter().all(|device| device.0 == "cpu");
    let together = table.spread && devices.len() > 1;
    let count = match workers {
        0 if together => 1,
        0 if cpu => cores.max(1),
        0 => devices.len(),
        several => several,
    };
    let count = count.min(table.jobs.max(1));
    if together || count == 1 && (workers == 1 || !table.trains) {
        return vec![devices.to_vec(); count];
    }
    if workers == 0 && !cpu && !table.trains {
        return (0..count).map(|i| devices.iter().skip(i).step_by(count).cloned().collect()).collect();
    }
    devices.iter().cycle().take(count).map(|device| vec![device.clone()]).collect()
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

    const TABLE: Table = Table { jobs: 9, spread: false, trains: true };

    fn of(devices: &[&str], workers: usize, table: Table) -> Vec<String> {
        sets(&names(devices), workers, table, 2).iter().map(|set| name(set)).collect()
    }

    #[test]
    fn each_device_has_a_process_unless_the_weights_are_spread_over_them() {
        let (two, spread) = (["cuda:0", "remote:abc#0"], Table { spread: true, ..TABLE });
        assert_eq!(of(&two, 0, TABLE), two);
        assert_eq!(of(&two, 1, TABLE), ["cuda:0 + remote:abc#0"]);
        assert_eq!(of(&two, 3, TABLE), ["cuda:0", "remote:abc#0", "cuda:0"]);
        assert_eq!(of(&two, 0, spread), ["cuda:0 + remote:abc#0"]);
        assert_eq!(of(&["cuda:1"], 0, TABLE), ["cuda:1"]);
        assert_eq!(of(&["cuda:1"], 2, spread), ["cuda:1", "cuda:1"]);
    }

    #[test]
    fn each_core_has_a_process_on_the_cpu() {
        assert_eq!(of(&["cpu"], 0, TABLE), ["cpu", "cpu"]);
        assert_eq!(of(&["cpu", "cpu"], 0, TABLE), ["cpu", "cpu"]);
        assert_eq!(of(&["cpu"], 1, TABLE), ["cpu"]);
        assert_eq!(of(&["cpu", "cpu"], 0, Table { spread: true, ..TABLE }), ["cpu + cpu"]);
    }

    #[test]
    fn no_device_is_idle_where_few_jobs_only_sample() {
        let four = ["cuda:0", "cuda:1", "cuda:2", "cuda:3"];
        let few = |jobs, trains| of(&four, 0, Table { jobs, trains, ..TABLE });
        assert_eq!(few(2, false), ["cuda:0 + cuda:2", "cuda:1 + cuda:3"]);
        assert_eq!(few(1, false), ["cuda:0 + cuda:1 + cuda:2 + cuda:3"]);
        // Whole batches on one device: a training comes out the same however many jobs there are.
        assert_eq!(few(2, true), ["cuda:0", "cuda:1"]);
        assert_eq!(few(1, true), ["cuda:0"]);
        assert_eq!(few(9, false), four);
    }

    #[test]
    fn a_device_is_listed_once() {
        assert_eq!(list(&[names(&["cpu"]), names(&["cpu"]), names(&["wgpu:0", "wgpu:1"])]), "cpu | wgpu:0 + wgpu:1");
    }
}
