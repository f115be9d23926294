//! The condition of Stable Diffusion 3.5: how three encoders are joined, and what their tokenizers make of a prompt.
use crate::device::device;
use crate::formula::is_table_of_text;
use crate::text_support::{close, json, parts, path, values, write};
use burn::tensor::DType;
use burn_mixflow::Error;
use burn_mixflow::data::TextItem;
use burn_mixflow::models::encoders::TextPrecision;
use burn_mixflow::models::encoders::clip_text::{ClipText, ClipTextConfig};
use burn_mixflow::models::encoders::sd3_text::{
    SdTextConfig, SdTextEncoders, SdTextSizes, SdTokens, T5Length, TextEmbedding,
};
use burn_mixflow::models::encoders::t5::{T5Encoder, T5EncoderConfig};
use burn_mixflow::models::weights::ExportType;
use std::path::Path;

/// Ends of a text in a vocabulary of 700 tokens.
const ENDS: [u32; 2] = [598, 599];
const L: usize = 8;
const G: usize = 12;
const T5: usize = 32;

fn sizes() -> SdTextSizes {
    let clip_l = ClipTextConfig {
        vocab_size: 700,
        hidden_size: L,
        intermediate_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        ..ClipTextConfig::l()
    };
    let clip_g = ClipTextConfig { hidden_size: G, projection_dim: Some(6), ..clip_l.clone() };
    let t5 = T5EncoderConfig {
        vocab_size: 700,
        d_model: T5,
        d_kv: 8,
        d_ff: 40,
        num_layers: 2,
        num_heads: 4,
        ..T5EncoderConfig::xxl()
    };
    SdTextSizes { clip_l, clip_g, t5 }
}

/// Files of small encoders in a folder.
fn config(folder: &Path) -> SdTextConfig {
    let sizes = sizes();
    let of = [("l", sizes.clip_l.parameters()), ("g", sizes.clip_g.parameters()), ("t5", sizes.t5.parameters())];
    let [clip_l, clip_g, t5] = of.map(|(name, parameters)| {
        let file = folder.join(name);
        write(&file, &parts(&parameters, is_table_of_text, DType::F32));
        file
    });
    SdTextConfig {
        clip_l,
        clip_g,
        t5,
        clip_tokenizer: path("clip_tokenizer.json"),
        t5_tokenizer: path("t5_tokenizer.json"),
        t5_length: T5Length::default(),
        precision: TextPrecision::F32,
        batch: 2,
    }
}

fn prompts() -> Vec<SdTokens> {
    let long: Vec<u32> = (0..90).map(|i| 3 + i * 5).collect();
    let texts = [&[4, 5, 6][..], &long, &[], &[9, 8]];
    texts.map(|text| SdTokens::new(text, ENDS, text, 1, T5Length::default())).to_vec()
}

fn numbers(embedding: &TextEmbedding) -> [Vec<f64>; 2] {
    [&embedding.context, &embedding.pooled].map(|data| data.iter::<f64>().collect())
}

#[test]
fn the_parts_stand_where_the_network_looks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let (config, sizes, device) = (config(folder.path()), sizes(), device());
    let (encoders, reports) = SdTextEncoders::load(&config, &sizes, &device).unwrap();
    assert_eq!(reports.map(|report| report.loaded), [36, 37, 21]);
    let tokens = &prompts()[0];
    let found = encoders.encode(&prompts()[..1], 1).unwrap().remove(0);
    assert_eq!((found.context.shape().to_vec(), found.pooled.shape().to_vec()), (vec![154, T5], vec![L + 6]));
    let [context, pooled] = numbers(&found);
    let precision = TextPrecision::F32;
    let l = ClipText::load(&sizes.clip_l, &config.clip_l, precision, &device).unwrap().0;
    let g = ClipText::load(&sizes.clip_g, &config.clip_g, precision, &device).unwrap().0;
    let t5 = T5Encoder::load(&sizes.t5, &config.t5, precision, &device).unwrap().0;
    let [l, g] = [
        l.encode(std::slice::from_ref(&tokens.clip_l)).unwrap(),
        g.encode(std::slice::from_ref(&tokens.clip_g)).unwrap(),
    ];
    let [of_l, of_g] = [values(l.penultimate), values(g.penultimate)];
    let row = |number: usize| &context[number * T5..(number + 1) * T5];
    for token in 0..77 {
        assert_eq!(row(token)[..L], of_l[token * L..(token + 1) * L]);
        assert_eq!(row(token)[L..L + G], of_g[token * G..(token + 1) * G]);
        assert_eq!(row(token)[L + G..], [0.0; T5 - L - G]);
    }
    assert_eq!(context[77 * T5..], values(t5.encode(std::slice::from_ref(&tokens.t5)).unwrap()));
    assert_eq!(pooled, [values(l.pooled), values(g.projected.unwrap())].concat());
}

#[test]
fn prompts_do_not_depend_on_those_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let (encoders, _) = SdTextEncoders::load(&config(folder.path()), &sizes(), &device()).unwrap();
    let alone = encoders.encode(&prompts(), 1).unwrap();
    let lengths: Vec<usize> = alone.iter().map(|one| one.context.shape()[0]).collect();
    assert_eq!(lengths, [154, 77 + 91, 154, 154]);
    for (one, other) in alone.iter().zip(encoders.encode(&prompts(), 3).unwrap()) {
        let [expected, found] = [numbers(one), numbers(&other)];
        close("context", &found[0], &expected[0], 1e-5);
        close("pooled", &found[1], &expected[1], 1e-5);
    }
    assert!(encoders.encode(&[], 3).unwrap().is_empty());
    let condition = TextEmbedding::condition(&alone[2..], &device()).unwrap();
    assert_eq!(condition.context.dims(), [2, 154, T5]);
    assert!(TextEmbedding::condition(&alone[..2], &device()).is_err());
}

#[test]
fn what_is_written_is_what_latents_read() {
    let folder = tempfile::tempdir().unwrap();
    let (encoders, _) = SdTextEncoders::load(&config(folder.path()), &sizes(), &device()).unwrap();
    let embedding = encoders.encode(&prompts()[..1], 1).unwrap().remove(0);
    let file = folder.path().join("null.safetensors");
    for (as_type, tolerance) in [(ExportType::Kept, 0.0), (ExportType::F16, 1e-3), (ExportType::Bf16, 1e-2)] {
        embedding.write(&file, as_type).unwrap();
        let TextItem { context, pooled } = TextItem::read(&file).unwrap();
        assert_eq!((context.shape, pooled.shape), (vec![154, T5], vec![L + 6]));
        let [expected, of_pooled] = numbers(&embedding);
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
        close("context", &wide(context.values), &expected, tolerance);
        close("pooled", &wide(pooled.values), &of_pooled, tolerance);
    }
}

#[test]
fn sizes_that_cannot_be_joined_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut sizes = sizes();
    sizes.clip_g.projection_dim = None;
    sizes.t5.d_model = 19;
    let Err(Error::Config(problems)) = SdTextEncoders::load(&config, &sizes, &device()) else { panic!("it can") };
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["clip_g.projection_dim", "t5.d_model"]);
    assert!(SdTextSizes::default().problems("").is_empty());
}

#[cfg(feature = "text")]
mod prompts {
    use super::*;
    use burn_mixflow::models::encoders::sd3_text::{ClipTokenizer, SdText, T5Tokenizer};
    use serde_json::Value;

    /// Recorded prompts with their tokens for CLIP, 77 with the padding of CLIP-L, and for T5, with the one that ends.
    fn recorded() -> Vec<(String, Vec<u32>, Vec<u32>)> {
        let of = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        let one = |entry: &Value| (entry["prompt"].as_str().unwrap().to_string(), of(&entry["clip"]), of(&entry["t5"]));
        json()["prompts"].as_array().unwrap().iter().map(one).collect()
    }

    /// The folder that older tokenizers of CLIP are in.
    fn in_parts(folder: &Path) {
        let whole: Value = serde_json::from_slice(&std::fs::read(path("clip_tokenizer.json")).unwrap()).unwrap();
        let model = &whole["model"];
        let mut vocabulary = model["vocab"].clone();
        for added in whole["added_tokens"].as_array().unwrap() {
            vocabulary[added["content"].as_str().unwrap()] = added["id"].clone();
        }
        std::fs::write(folder.join("vocab.json"), vocabulary.to_string()).unwrap();
        let merges = model["merges"].as_array().unwrap().iter();
        let lines = merges.map(|merge| format!("{} {}\n", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()));
        std::fs::write(folder.join("merges.txt"), format!("#version: 0.2\n{}", lines.collect::<String>())).unwrap();
    }

    #[test]
    fn tokens_of_clip_are_those_of_transformers() {
        let folder = tempfile::tempdir().unwrap();
        in_parts(folder.path());
        let whole = ClipTokenizer::open(&path("clip_tokenizer.json")).unwrap();
        let parts = ClipTokenizer::open(folder.path()).unwrap();
        assert_eq!(whole.ends(), parts.ends());
        let mut cut = 0;
        for (prompt, expected, _) in recorded() {
            for tokenizer in [&whole, &parts] {
                let text = tokenizer.tokens(&prompt).unwrap();
                let tokens = SdTokens::new(&text, tokenizer.ends(), &[], 1, T5Length::default());
                assert_eq!(tokens.clip_l, expected, "{prompt:?}");
                assert_eq!(tokens.clip_g.len(), 77);
                cut += usize::from(tokens.cut_of_clip > 0);
            }
        }
        assert_eq!(cut, 2);
    }

    #[test]
    fn tokens_of_t5_are_those_of_transformers() {
        let tokenizer = T5Tokenizer::open(&path("t5_tokenizer.json")).unwrap();
        for (prompt, _, expected) in recorded() {
            let mut found = tokenizer.tokens(&prompt).unwrap();
            found.push(tokenizer.end());
            assert_eq!(found, expected, "{prompt:?}");
        }
    }

    #[test]
    fn prompts_are_embedded_and_the_empty_one_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let (text, _) = SdText::load(&config, &sizes(), &device()).unwrap();
        let prompts: Vec<String> = recorded().into_iter().map(|(prompt, ..)| prompt).collect();
        let embedded = text.encode(&prompts).unwrap();
        assert_eq!(embedded.len(), prompts.len());
        for (one, prompt) in embedded.iter().zip(&prompts) {
            assert!(numbers(one).concat().iter().all(|value| value.is_finite()), "{prompt:?}");
            let again = text.encode(std::slice::from_ref(prompt)).unwrap();
            close("context", &numbers(&again[0])[0], &numbers(one)[0], 1e-5);
        }
        assert_ne!(numbers(&embedded[0]), numbers(&embedded[1]));
        // T5 reads no more than 226 characters.
        let long = prompts.last().unwrap();
        let tokens = text.tokens(long).unwrap();
        let begun: String = long.chars().take(226).collect();
        assert_eq!((tokens.t5.clone(), tokens.cut_of_t5), (text.tokens(&begun).unwrap().t5, 0));
        assert!(tokens.t5.len() > 77 && tokens.cut_of_clip > 0);
        let whole = SdTextConfig { t5_length: T5Length::fixed(256), ..config };
        let (text, _) = SdText::load(&whole, &sizes(), &device()).unwrap();
        let tokens = text.tokens(long).unwrap();
        assert_eq!(tokens.t5.len(), 256);
        assert!(tokens.cut_of_t5 > 0 && tokens.t5[255] == 1, "{tokens:?}");
    }

    #[test]
    fn files_that_are_no_tokenizer_are_errors_that_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let clip = |path: &Path| ClipTokenizer::open(path).unwrap_err().to_string();
        let t5 = |path: &Path| T5Tokenizer::open(path).unwrap_err().to_string();
        assert!(clip(folder.path()).contains("holds neither tokenizer.json nor vocab.json and merges.txt"));
        assert!(t5(folder.path()).contains("holds no tokenizer.json"));
        std::fs::write(file("spiece.model"), b"\x0a\x0e").unwrap();
        for place in [folder.path().to_path_buf(), file("spiece.model")] {
            let message = t5(&place);
            assert!(message.contains("AutoTokenizer") && message.contains("save_pretrained"), "{message}");
        }
        assert!(matches!(T5Tokenizer::open(&file("nowhere")), Err(Error::Io { .. })));
        for json in
            ["", "{", "[]", "{}", r#"{"model": {}}"#, r#"{"version": "1.0", "model": {"type": "BPE", "vocab": {}}}"#]
        {
            std::fs::write(file("tokenizer.json"), json).unwrap();
            assert!(clip(folder.path()).contains("tokenizer.json: is no tokenizer ("), "{json}");
            assert!(t5(folder.path()).contains("tokenizer.json: is no tokenizer ("), "{json}");
        }
        assert!(clip(&path("t5_tokenizer.json")).contains("`<|startoftext|>`: it is not the tokenizer of CLIP"));
        assert!(t5(&path("clip_tokenizer.json")).contains("`</s>`: it is not the tokenizer of T5"));
        std::fs::remove_file(file("tokenizer.json")).unwrap();
        in_parts(folder.path());
        std::fs::write(file("vocab.json"), r#"{"a": 1}"#).unwrap();
        assert!(clip(&file("vocab.json")).contains("vocab.json: has no token `<|startoftext|>`"));
    }
}
