//! What one logged training step costs: 12 scalars into an event file.
use burn_mixflow::monitor::TensorBoard;

fn main() {
    divan::main();
}

#[divan::bench]
fn twelve_scalars(bencher: divan::Bencher) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let board = TensorBoard::create(dir.path(), 0);
    let tags: Vec<String> = (0..12).map(|i| format!("train/metric_{i}")).collect();
    let mut step = 0;
    bencher.bench_local(|| {
        step += 1;
        for tag in &tags {
            board.scalar(tag, 0.25, step);
        }
    });
    assert_eq!(board.error(), None);
}
