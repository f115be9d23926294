//! What takes less memory of a device.
use super::StageConfig;
use crate::recompute::Checkpointing;
use crate::train::Precision;

/// What to change in a stage whose passes do not fit its devices.
pub(crate) fn advice(config: &StageConfig, devices: usize) -> String {
    let StageConfig { batch_size, accumulation, .. } = *config;
    let items = |times: usize| batch_size / (devices * times).max(1);
    let mut all = Vec::new();
    if config.checkpointing == Checkpointing::None {
        all.push("`checkpointing` = \"blocks\" keeps less of a pass, also where a training has begun".into());
    }
    let more =
        (accumulation + 1..=batch_size / devices.max(1)).find(|times| batch_size.is_multiple_of(devices * times));
    if let Some(times) = more {
        all.push(format!(
            "in a folder of its own, `accumulation` = {times} makes passes of {} and the same updates",
            items(times)
        ));
    }
    if config.precision == Precision::F32 {
        all.push("`precision` = \"bf16\" halves what it keeps".into());
    }
    if config.adapter.is_none() {
        all.push("an `adapter` has almost no gradients and moments".into());
    }
    all.push("`mixflow check FILE --card GB` says what fits".into());
    format!("a pass of {} does not fit; {}", items(accumulation), all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_pass_is_named_that_divides_the_batch() {
        let config = |batch_size, accumulation| StageConfig { batch_size, accumulation, ..Default::default() };
        let said = advice(&config(48, 2), 2);
        assert!(said.starts_with("a pass of 12 does not fit; `checkpointing` = \"blocks\" "), "{said}");
        assert!(said.contains("`accumulation` = 3 makes passes of 8 and the same updates"), "{said}");
        assert!(said.contains("`precision` = \"bf16\""), "{said}");
        let said = advice(&config(7, 1), 1);
        assert!(said.contains("`accumulation` = 7 makes passes of 1 "), "{said}");
        let said = advice(&config(4, 2), 2);
        assert!(said.starts_with("a pass of 1 does not fit; ") && !said.contains("accumulation"), "{said}");
        let frugal = StageConfig { checkpointing: Checkpointing::Blocks, precision: Precision::Bf16, ..config(8, 1) };
        let said = advice(&frugal, 1);
        assert!(!said.contains("blocks") && !said.contains("bf16") && said.contains("adapter"), "{said}");
    }
}
