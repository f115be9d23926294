//! The bias of attention by distance: one for each of the nearest keys, then one for each of ranges that grow like a logarithm.
use burn::tensor::{Int, Tensor, TensorData};

/// The biases `[1, heads, count, count]` of queries (rows) to keys from a table `[buckets, heads]`.
pub(super) fn biases(table: Tensor<2>, count: usize, max_distance: usize) -> Tensor<4> {
    let [buckets, heads] = table.dims();
    let all = (0..count).flat_map(|query| (0..count).map(move |key| (query, key)));
    let all: Vec<i64> = all.map(|(query, key)| bucket(query, key, buckets, max_distance) as i64).collect();
    let all = Tensor::<1, Int>::from_data(TensorData::new(all, [count * count]), &table.device());
    table.select(0, all).reshape([1, count, count, heads]).permute([0, 3, 1, 2])
}

/// The bucket of a key as a query sees it: the first half are keys before it and itself, the second half keys after it.
fn bucket(query: usize, key: usize, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let first = if key > query { half } else { 0 };
    let (distance, exact) = (key.abs_diff(query), half / 2);
    if distance < exact {
        return first + distance;
    }
    // In f32 as officially, where the whole numbers at powers of 2 are met.
    let grown = (distance as f32 / exact as f32).ln() / (max_distance as f64 / exact as f64).ln() as f32;
    let place = exact + (grown * (half - exact) as f32) as usize;
    first + place.min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_keys_have_a_bucket_each_and_far_ones_share_the_last() {
        let of = |query, key| bucket(query, key, 32, 128);
        assert_eq!((0..8).map(|key| of(7, key)).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!((8..15).map(|key| of(7, key)).collect::<Vec<_>>(), [17, 18, 19, 20, 21, 22, 23]);
        assert_eq!([of(1000, 0), of(0, 1000), of(128, 0), of(0, 128)], [15, 31, 15, 31]);
        assert_eq!([of(0, 8), of(0, 16), of(0, 32), of(0, 64)], [24, 26, 28, 30]);
    }
}
