//! What is printed of a choice of γ.
use burn_mixflow::slow_flow::Choice;

/// The choice with its reasons.
pub fn print(choice: &Choice) {
    let steps = choice.target.steps.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let gamma = choice.gamma.map_or("none".into(), |gamma| gamma.to_string());
    println!("\nγ = {gamma} for {steps} steps by {}", choice.target.distance);
    choice.reasons.iter().for_each(|reason| println!("  {reason}"));
}
