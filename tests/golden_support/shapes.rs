use crate::json;
use serde_json::Value;

/// Names and shapes of a full-size official model, sorted: patterns such as `blocks.{i}.attn` written out.
pub fn official_shapes(file: &str) -> Vec<(String, Vec<usize>)> {
    let recorded = json(file);
    let mut found = Vec::new();
    for entry in recorded["entries"].as_array().expect(file) {
        let pattern = entry[0].as_str().expect(file);
        let shape: Vec<usize> = serde_json::from_value(entry[1].clone()).expect(file);
        let blocks: Vec<u64> = match &entry[2] {
            Value::Null => {
                found.push((pattern.to_string(), shape));
                continue;
            }
            Value::Array(list) => list.iter().map(|i| i.as_u64().expect(file)).collect(),
            other => panic!("{file}: {other}"),
        };
        // Two numbers are a range, more are a list; a range of two blocks reads the same either way.
        let blocks: Vec<u64> = if let [first, last] = blocks[..] { (first..=last).collect() } else { blocks };
        found.extend(blocks.iter().map(|i| (pattern.replace("{i}", &i.to_string()), shape.clone())));
    }
    assert_eq!(Some(found.len() as u64), recorded["n_tensors"].as_u64(), "{file}");
    found.sort();
    found
}
