//! How a decoded value becomes a byte: `⌊clamp(127.5·x + 128)⌋` of SiT, `⌊clamp(255·y)⌋` of the others.
//!
//! SiT rounds to the nearest byte and is half a level brighter. A FID sees the difference, so the rule belongs to the system.
use serde::{Deserialize, Serialize};

/// How a decoded value becomes a byte, in the arithmetic of f32.
///
/// | System | Value of the decoder | Byte |
/// |---|---|---|
/// | SiT (`sample_ddp.py`) | x in [−1, 1] | `⌊clamp(127.5·x + 128, 0, 255)⌋` |
/// | REPA (`generate.py`), SD3.5 (`sd3_infer.py`) | x in [−1, 1] | `⌊clamp(255·(x + 1)/2, 0, 255)⌋` |
/// | RAE (`sample_ddp.py`) | y in [0, 1] | `⌊255·clamp(y, 0, 1)⌋` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PixelRule {
    /// Of x in [−1, 1], to the nearest: SiT.
    Rounded,
    /// Of x in [−1, 1], downwards: REPA, SD3.5.
    Truncated,
    /// Of y in [0, 1], downwards: RAE.
    TruncatedUnit,
}

impl PixelRule {
    /// The rule of a system: `"SiT"`, `"REPA"`, `"RAE"` or `"SD3.5"`.
    pub fn of_system(system: &str) -> Option<Self> {
        match system {
            "SiT" => Some(Self::Rounded),
            "REPA" | "SD3.5" => Some(Self::Truncated),
            "RAE" => Some(Self::TruncatedUnit),
            _ => None,
        }
    }

    /// The byte of a value. Beyond the range it is 0 or 255; what is not a number is 0.
    pub fn byte(self, value: f32) -> u8 {
        let scaled = match self {
            Self::Rounded => 127.5 * value + 128.0,
            Self::Truncated => 255.0 * ((value + 1.0) / 2.0),
            Self::TruncatedUnit => 255.0 * value.clamp(0.0, 1.0),
        };
        // Casts round towards 0 and end at 0 and 255.
        scaled as u8
    }

    /// The bytes `[height, width, channels]` of values `[channels, height, width]`.
    pub fn picture(self, values: &[f32], channels: usize) -> Vec<u8> {
        let plane = values.len() / channels.max(1);
        let pixel = |place: usize| (0..channels).map(move |channel| self.byte(values[channel * plane + place]));
        (0..plane).flat_map(pixel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [PixelRule; 3] = [PixelRule::Rounded, PixelRule::Truncated, PixelRule::TruncatedUnit];

    #[test]
    fn ends_middle_and_what_lies_beyond() {
        for (values, expected) in [
            ([-1.0, 0.0, 1.0, -9.0, 9.0, -0.996], [0, 128, 255, 0, 255, 1]),
            ([-1.0, 0.0, 1.0, -9.0, 9.0, -0.996], [0, 127, 255, 0, 255, 0]),
            ([0.0, 0.5, 1.0, -9.0, 9.0, 0.002], [0, 127, 255, 0, 255, 0]),
        ]
        .iter()
        .zip(RULES)
        .map(|((values, bytes), rule)| (values.map(|value| rule.byte(value)), *bytes))
        {
            assert_eq!(values, expected);
        }
        assert_eq!(RULES.map(|rule| rule.byte(f32::NAN)), [0; 3]);
        assert_eq!(["SiT", "SD3.5", "RAE"].map(PixelRule::of_system), RULES.map(Some));
        assert_eq!(PixelRule::of_system("DiT"), None);
    }

    #[test]
    fn sit_gives_every_byte_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let back: Vec<u8> = bytes.iter().map(|b| PixelRule::Rounded.byte(f32::from(*b) / 127.5 - 1.0)).collect();
        assert_eq!(back, bytes);
    }

    #[test]
    fn channels_come_last() {
        assert_eq!(PixelRule::TruncatedUnit.picture(&[0.0, 1.0, 0.5, 0.25], 2), [0, 127, 255, 63]);
    }
}
