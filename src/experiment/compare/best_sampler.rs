//! The best sampler at equal evaluations, for what slows nothing: a reader of a table of Euler's method must not have to look for it.
use super::{ComparisonResults, ResultRow};
use serde_json::Value;

/// What the order of sums may change of a distance: another version of the program, or another machine.
const ROUNDING: f64 = 1e-5;

impl ComparisonResults {
    /// The row by which `arm` comes nearest at this budget, under any sampler of these results or of `others`; none if it was
    /// sampled in one way only.
    ///
    /// Rows of others count where they hold the same distances of `arm` under the first sampler of these, seed by seed and up to
    /// rounding: then weights, noise, samples and reference are the same.
    pub fn best_sampler<'a>(
        &'a self,
        others: &'a [Self],
        metric: &str,
        arm: &str,
        evaluations: usize,
    ) -> Option<&'a ResultRow> {
        let own = self.row(metric, self.samplers().first()?, arm, evaluations)?;
        let fits = |row: &&ResultRow| {
            let same = (&row.metric[..], &row.arm[..], row.evaluations) == (metric, arm, evaluations);
            same && row.seeds == own.seeds
        };
        let is_same = |other: &&Self| {
            let same = other.row(metric, &own.sampler, arm, evaluations);
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= ROUNDING * b.abs();
            same.is_some_and(|row| row.seeds == own.seeds && row.values.iter().zip(&own.values).all(near))
        };
        let theirs = others.iter().filter(is_same).flat_map(|other| other.rows.iter().filter(fits));
        let rows: Vec<&ResultRow> = self.rows.iter().filter(fits).chain(theirs).collect();
        let several = rows.iter().any(|row| row.sampler != own.sampler);
        rows.into_iter().filter(|_| several).min_by(|a, b| a.mean.total_cmp(&b.mean))
    }

    /// The name of the arm with the weights of `start` as they are, or with the exact field; none if no arm has them.
    pub fn untrained(&self) -> Option<&str> {
        self.rows.iter().find(|row| self.is_untrained(&row.arm)).map(|row| row.arm.as_str())
    }

    /// What slows nothing, and is called so: the weights of `start` or the exact field, and the control.
    pub(super) fn unslowed(&self) -> Vec<(&'static str, &str)> {
        let untrained = self.untrained();
        let control = Some(self.control.as_str()).filter(|control| untrained != Some(*control));
        let named = |name: &'static str| move |arm| (name, arm);
        untrained.map(named("nothing trained")).into_iter().chain(control.map(named("control"))).collect()
    }

    /// Whether the configuration gives an arm the weights of `start` as they are. Where it does not say, as that of an old
    /// program or of an exact field, it is an arm without a γ that took no time to train.
    fn is_untrained(&self, arm: &str) -> bool {
        let arms = self.config.pointer("/compare/arms").and_then(Value::as_array);
        let weights = |entry: &&Value| !entry["weights"].is_null();
        if let Some(arms) = arms.filter(|arms| arms.iter().any(|arm| weights(&arm))) {
            return arms.iter().any(|entry| entry["name"] == arm && entry["weights"] == "start");
        }
        let has_gamma = |row: &ResultRow| row.arm == arm && row.gamma.is_some_and(|gamma| gamma != 0.0);
        !self.rows.iter().any(has_gamma) && !self.training.iter().any(|time| time.arm == arm)
    }

    /// Whether there is a [best sampler](Self::best_sampler) to tell of.
    pub(super) fn has_choice(&self, others: &[Self]) -> bool {
        let has = |metric: &str, arm: &str| {
            self.evaluations().into_iter().any(|n| self.best_sampler(others, metric, arm, n).is_some())
        };
        self.unslowed().iter().any(|(_, arm)| self.floors.iter().any(|floor| has(&floor.metric, arm)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Rows of (sampler, arm, evaluations, the distances of two seeds); all but the control and "MixFlow" are not trained.
    fn results(rows: &[(&str, &str, usize, [f64; 2])]) -> ComparisonResults {
        let row = |(sampler, arm, evaluations, values): &(&str, &str, usize, [f64; 2])| {
            json!({"metric": "d", "sampler": sampler, "arm": arm, "gamma": (*arm == "MixFlow").then_some(0.1),
                "evaluations": evaluations, "steps": evaluations, "mean": (values[0] + values[1]) / 2.0,
                "standard_error": 0.5, "against": sampler, "paired_change": null, "paired_standard_error": null,
                "beyond_two_errors": false, "change_from_first_sampler": null,
                "change_from_first_sampler_standard_error": null, "values": values, "seeds": [0, 1]})
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let trained = ["control", "MixFlow"].map(|arm| json!({"arm": arm, "milliseconds_per_step": 1.0}));
        let floors = json!([{"metric": "d", "title": "D", "distance": 0.1}]);
        let arms = json!([{"name": "none", "weights": "start"}, {"name": "control"}, {"name": "MixFlow"}]);
        serde_json::from_value(json!({"control": "control", "rows": rows, "floors": floors, "training": trained,
            "sampling_seconds": 0.0, "config": {"compare": {"arms": arms}}}))
        .unwrap()
    }

    #[test]
    fn the_best_sampler_stands_below_the_table_of_the_first() {
        let own = results(&[
            ("Euler", "none", 4, [8.0, 9.0]),
            ("Euler", "control", 4, [7.0, 8.0]),
            ("Euler", "MixFlow", 4, [5.0, 6.0]),
            ("Heun", "control", 4, [3.0, 4.0]),
        ]);
        let text = own.markdown();
        assert!(text.contains("| *control, best sampler* | 3.50 ± 0.500, Heun |"), "{text}");
        assert!(!text.contains("nothing trained"), "{text}");
        // The weights of another table are these, if they came as near by the first sampler, up to rounding.
        let of = |euler| results(&[("Euler", "none", 4, euler), ("rk4", "none", 4, [1.0, 2.0])]);
        let text = own.markdown_beside(&[of([8.00001, 9.0])]);
        assert!(text.contains("| *nothing trained, best sampler* | 1.50 ± 0.500, rk4 |"), "{text}");
        assert!(own.best_sampler(&[of([8.0, 9.001])], "d", "none", 4).is_none());
        assert!(own.best_sampler(&[of([8.0, 9.0])], "d", "none", 5).is_none());
    }

    #[test]
    fn a_row_of_other_seeds_and_an_arm_that_only_lacks_its_time_are_not_taken() {
        let rows = [("Euler", "none", 4, [8.0, 9.0]), ("Heun", "none", 4, [1.0, 2.0]), ("rk4", "none", 4, [3.0, 4.0])];
        let mut own = results(&rows);
        (own.rows[1].seeds, own.rows[1].values) = (vec![0], vec![1.0]);
        assert_eq!(own.best_sampler(&[], "d", "none", 4).unwrap().sampler, "rk4");
        own.training.clear();
        assert_eq!(own.unslowed(), [("nothing trained", "none"), ("control", "control")]);
        own.rows.iter_mut().for_each(|row| row.arm = "MixFlow".into());
        assert_eq!(own.unslowed(), [("control", "control")]);
    }

    #[test]
    fn one_way_to_sample_is_no_choice() {
        let own = results(&[("Euler", "none", 4, [8.0, 9.0]), ("Euler", "control", 4, [7.0, 8.0])]);
        assert!(
            !own.markdown().contains("italics")
                && !own.markdown_beside(std::slice::from_ref(&own)).contains("best sampler")
        );
    }
}
