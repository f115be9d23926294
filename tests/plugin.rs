//! What a Burn user compiles with `default-features = false`: the plugin, and nothing of the laboratory.
use std::collections::BTreeSet;
use std::process::Command;

/// Packages of the laboratory and the program.
const LABORATORY: [&str; 8] = ["plotters", "image", "csv", "faer", "flate2", "clap", "indicatif", "schemars"];

/// The names of the packages in the plugin's tree.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal,build", "--no-default-features", "--prefix", "none"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
}

#[test]
fn the_plugin_brings_nothing_of_the_laboratory() {
    // Without what Burn itself brings: `csv`, for one, comes with burn-dataset.
    let own = tree(&["--prune", "burn"]);
    assert!(own.contains("serde") && own.contains("tensorboard-proto"), "{own:?}");
    let found: Vec<_> = LABORATORY.iter().filter(|name| own.contains(**name)).collect();
    assert!(found.is_empty(), "the plugin depends on {found:?}");
    // Whatever of it is there comes with Burn.
    let (all, without_burn) = (tree(&[]), own);
    let burns: Vec<_> =
        LABORATORY.iter().filter(|name| all.contains(**name) && !without_burn.contains(**name)).collect();
    assert_eq!(burns, [&"csv"], "what Burn brings has changed");
}

#[test]
fn the_parts_of_burn_are_reached_through_burn() {
    let direct = tree(&["--depth", "1"]);
    let parts: Vec<_> = direct.iter().filter(|name| name.starts_with("burn-") && *name != "burn-mixflow").collect();
    assert!(direct.contains("burn") && parts.is_empty(), "{parts:?} beside `burn`");
}
