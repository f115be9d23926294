//! Parameters that bf16 must not round, of every network that JSON can name.
use super::{Mmdit, Rae, Repa, ResidualMlp, Sit};
use crate::network::PredictionNetwork;

const BY_NETWORK: [&[&str]; 5] = [
    <ResidualMlp as PredictionNetwork<4>>::KEPT_IN_F32,
    Sit::KEPT_IN_F32,
    Repa::KEPT_IN_F32,
    Rae::KEPT_IN_F32,
    Mmdit::KEPT_IN_F32,
];

const COUNT: usize = {
    let (mut count, mut network) = (0, 0);
    while network < BY_NETWORK.len() {
        count += BY_NETWORK[network].len();
        network += 1;
    }
    count
};

/// All of them, one list after the other: the constant of the enum has to name what any of its networks keeps.
pub(super) const BY_ANY: [&str; COUNT] = {
    let (mut all, mut filled, mut network) = ([""; COUNT], 0, 0);
    while network < BY_NETWORK.len() {
        let mut i = 0;
        while i < BY_NETWORK[network].len() {
            all[filled] = BY_NETWORK[network][i];
            filled += 1;
            i += 1;
        }
        network += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Network, NetworkConfig};
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Tensor};

    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        found: Vec<String>,
    }

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
            self.found.push(self.path.join("."));
        }
    }

    /// One small network of each kind, in the order of [`BY_NETWORK`].
    fn smallest() -> Vec<NetworkConfig> {
        let networks = [
            r#"{"kind": "residual_mlp", "channels": 1, "size": 4, "width": 8, "depth": 1, "num_classes": 2}"#,
            r#"{"kind": "sit", "input_size": 4, "hidden_size": 8, "depth": 1, "num_heads": 1}"#,
            r#"{"kind": "repa", "input_size": 4, "hidden_size": 8, "depth": 1, "encoder_depth": 1, "num_heads": 1}"#,
            r#"{"kind": "rae", "input_size": 2, "in_channels": 2, "hidden_size": [8, 8], "depth": [1, 1],
                "num_heads": [1, 1]}"#,
            r#"{"kind": "mmdit", "input_size": 4, "depth": 1, "pos_embed_max_size": 4, "dual_attention": [], "context_width": 4,
                "pooled_width": 4}"#,
        ];
        networks.map(|json| serde_json::from_str(json).unwrap()).to_vec()
    }

    #[test]
    fn what_is_kept_in_f32_names_parameters_of_the_network_that_keeps_it_and_of_no_other() {
        let configs = smallest();
        assert_eq!(configs.len(), BY_NETWORK.len());
        for (i, config) in configs.iter().enumerate() {
            let mut paths = Paths::default();
            config.init(0, &Device::flex()).unwrap().visit(&mut paths);
            assert!(paths.found.len() > 5, "{:?}", paths.found);
            let named = |kept: &str| paths.found.iter().any(|path| path.ends_with(&format!(".{kept}")));
            for (j, kept) in BY_NETWORK.iter().enumerate() {
                assert!(kept.iter().all(|kept| named(kept) == (i == j)), "{i}: {kept:?} in {:?}", paths.found);
            }
        }
        assert_eq!(Network::KEPT_IN_F32, BY_NETWORK.concat());
        assert!(!Network::KEPT_IN_F32.is_empty());
    }
}
