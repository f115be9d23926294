//! What is printed and kept of a choice of γ.
use burn_mixflow::Result;
use burn_mixflow::experiment::files;
use burn_mixflow::post_train::gamma::GammaChoice;
use std::path::Path;

/// Prints the choices with their reasons, and keeps them in `gamma.json` of `folder`.
pub fn report(choices: &[GammaChoice], folder: &Path) -> Result<()> {
    for choice in choices {
        let steps = choice.target.steps.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let gamma = choice.gamma.map_or("none".into(), |gamma| gamma.to_string());
        println!("\nγ = {gamma} for {steps} steps by {}", choice.target.distance);
        choice.reasons.iter().for_each(|reason| println!("  {reason}"));
    }
    files::write(&folder.join("gamma.json"), &files::pretty(&choices)?)
}
