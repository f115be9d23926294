//! Classes that are on one side of the split alone: silently, a comparison would say nothing of them.
use crate::data::ClassCount;

/// Classes that are not trained on or not held out, and held-out items of one class alone.
pub(super) fn one_sided(labels: &[ClassCount]) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |is: &dyn Fn(&ClassCount) -> bool, what: &str| {
        let named: Vec<String> =
            (0..).zip(labels).filter(|(_, count)| is(count)).map(|(n, _): (usize, _)| n.to_string()).collect();
        if !named.is_empty() {
            let (count, classes, shown) =
                (named.len(), labels.len(), named.iter().take(10).cloned().collect::<Vec<_>>());
            let more = if count > shown.len() { ", …" } else { "" };
            found.push(format!("data: {count} of {classes} classes have {what}: {}{more}", shown.join(", ")));
        }
    };
    say(&|count| count.training == 0, "nothing to train on");
    say(&|count| count.training > 0 && count.held_out == 0, "nothing held out");
    let held_out: Vec<usize> = (0..labels.len()).filter(|label| labels[*label].held_out > 0).collect();
    if let [label] = held_out[..]
        && labels.iter().filter(|count| count.training > 0).count() > 1
    {
        found.push(format!(
            "data: all held-out items are of class {label}: distances to them say nothing of the others"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_on_one_side_are_doubtful() {
        let labels = |counts: &[(usize, usize)]| -> Vec<ClassCount> {
            counts.iter().map(|(training, held_out)| ClassCount { training: *training, held_out: *held_out }).collect()
        };
        assert!(one_sided(&labels(&[(4, 1), (3, 2)])).is_empty() && one_sided(&[]).is_empty());
        assert!(one_sided(&labels(&[(4, 1)])).is_empty());
        assert_eq!(
            one_sided(&labels(&[(4, 0), (3, 0), (0, 4)])),
            [
                "data: 1 of 3 classes have nothing to train on: 2",
                "data: 2 of 3 classes have nothing held out: 0, 1",
                "data: all held-out items are of class 2: distances to them say nothing of the others"
            ]
        );
        let many = one_sided(&labels(&[(0, 0); 12]));
        assert_eq!(many, ["data: 12 of 12 classes have nothing to train on: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"]);
    }
}
