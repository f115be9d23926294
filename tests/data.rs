//! A user's own data: pictures of all kinds, tables with all kinds of mistakes.
use burn::data::dataset::Dataset;
use burn_mixflow::data::{DataConfig, DataSet, DataSplit, Decoded, Form, Item};
use burn_mixflow::{Error, Result};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};
use std::io::Cursor;
use std::path::Path;
use tempfile::TempDir;

mod data_damage;
mod data_listed;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    let file = folder.path().join(name);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, bytes).expect("a file");
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

fn flat(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb(colour))
}

/// The `images` section for a folder, with its cache in `cache` beside it.
fn images(folder: &TempDir, more: Value) -> DataConfig {
    let cache = folder.path().join(".cache");
    let mut json = json!({"kind": "images", "folder": folder.path(), "size": 8, "cache": cache});
    json.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value(json).expect("a configuration")
}

fn vectors(folder: &TempDir, name: &str, more: Value) -> DataConfig {
    let mut json = json!({"kind": "vectors", "file": folder.path().join(name)});
    json.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    serde_json::from_value(json).expect("a configuration")
}

fn message(result: Result<DataSplit>) -> String {
    result.expect_err("an error").to_string()
}

fn names(set: &DataSet) -> Vec<String> {
    (0..set.len()).map(|i| set.name(i)).collect()
}

/// The item of a name, in whichever set.
fn item(split: &DataSplit, name: &str) -> Item {
    let mut places = [&split.train, &split.held_out].into_iter().flat_map(|set| (0..set.len()).map(move |i| (set, i)));
    let (set, index) = places.find(|(set, index)| set.name(*index) == name).expect("an item");
    set.get(index).expect("a picture")
}

/// The bytes that an item was made of.
fn bytes(item: &Item) -> Vec<u8> {
    item.data.iter().map(|v| ((v + 1.0) * 127.5).round() as u8).collect()
}

/// Opens the data, and says how many pictures were decoded.
fn counted(config: &DataConfig) -> (DataSplit, usize) {
    let mut decoded = 0;
    let split = config.open_with(&mut |Decoded { done, total }| decoded = done.max(decoded).min(total));
    (split.expect("data"), decoded)
}

/// The same bytes with an EXIF header that says how the camera was held.
fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() + 2) as u16;
    [&jpeg[..2], &[0xFF, 0xE1], &length.to_be_bytes(), &exif, &jpeg[2..]].concat()
}

#[test]
fn pictures_of_all_kinds_become_squares() {
    let folder = folder();
    let stripe = RgbImage::from_fn(40, 20, |x, _| Rgb([if x < 20 { 255 } else { 0 }, 128, 0]));
    write(&folder, "exact.png", encoded(RgbImage::from_fn(8, 8, |x, y| Rgb([x as u8, y as u8, 7])), ImageFormat::Png));
    write(&folder, "wide.webp", encoded(stripe.clone(), ImageFormat::WebP));
    write(&folder, "small.PNG", encoded(flat(3, 5, [10, 20, 30]), ImageFormat::Png));
    write(
        &folder,
        "grey.jpg",
        encoded(DynamicImage::ImageLuma8(image::GrayImage::from_pixel(64, 32, image::Luma([77]))), ImageFormat::Jpeg),
    );
    let deep = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(16, 16, Rgb([65535u16, 25700, 0]));
    write(&folder, "deep.png", encoded(DynamicImage::ImageRgb16(deep), ImageFormat::Png));
    let clear = RgbaImage::from_fn(8, 8, |x, _| Rgba([0, 0, 0, if x < 4 { 0 } else { 255 }]));
    write(&folder, "clear.png", encoded(clear, ImageFormat::Png));
    // Left red, right green; turned clockwise, as a camera held upright says, red is above.
    let held = RgbImage::from_fn(32, 32, |x, _| if x < 16 { Rgb([255, 0, 0]) } else { Rgb([0, 255, 0]) });
    let jpeg = encoded(held, ImageFormat::Jpeg);
    write(&folder, "turned.jpeg", turned(&jpeg, 6));
    write(&folder, "mirrored.jpeg", turned(&jpeg, 2));
    // A JPEG that is called PNG.
    write(&folder, "misnamed.png", &jpeg);
    write(&folder, ".hidden.png", b"no picture");
    write(&folder, ".ipynb_checkpoints/exact-checkpoint.png", b"no picture");
    write(&folder, "Thumbs.db", b"no picture");
    write(&folder, "notes.txt", b"no picture");

    let config = images(&folder, json!({"held_out": 2}));
    assert_eq!(config.form(), Form::Pictures);
    let split = config.open().unwrap();
    assert_eq!((split.shape, split.classes, split.train.len(), split.held_out.len()), ([3, 8, 8], 0, 7, 2));
    assert_eq!(split.train.labels(), [0; 7]);
    let mut all = [names(&split.train), names(&split.held_out)].concat();
    all.sort();
    assert_eq!(
        all,
        [
            "clear.png",
            "deep.png",
            "exact.png",
            "grey.jpg",
            "mirrored.jpeg",
            "misnamed.png",
            "small.PNG",
            "turned.jpeg",
            "wide.webp"
        ]
    );
    let exact = item(&split, "exact.png");
    let expected = |i: usize| f32::from([(i % 8) as u8, (i / 8 % 8) as u8, 7][i / 64]) / 127.5 - 1.0;
    assert_eq!(exact.data, (0..192).map(expected).collect::<Vec<_>>());
    // The centre of 40×20 is 20×20: half of it is red.
    let wide = bytes(&item(&split, "wide.webp"));
    assert_eq!((wide[0], wide[7], wide[64], wide[128]), (255, 0, 128, 0));
    assert_eq!(bytes(&item(&split, "small.PNG")), [[10; 64], [20; 64], [30; 64]].concat());
    assert!(bytes(&item(&split, "grey.jpg")).iter().all(|v| v.abs_diff(77) <= 1));
    assert_eq!(bytes(&item(&split, "deep.png")), [[255; 64], [100; 64], [0; 64]].concat());
    let clear = bytes(&item(&split, "clear.png"));
    assert_eq!((clear[0], clear[7]), (255, 0));
    // Red and green at the middle of the upper, lower, left and right side.
    let sides = |name: &str| {
        let v = bytes(&item(&split, name));
        [4, 60, 32, 39].map(|at| {
            if v[at] > 200 {
                'r'
            } else if v[64 + at] > 200 {
                'g'
            } else {
                '?'
            }
        })
    };
    assert_eq!(sides("turned.jpeg")[..2], ['r', 'g']);
    assert_eq!(sides("mirrored.jpeg")[2..], ['g', 'r']);
    assert_eq!(sides("misnamed.png")[2..], ['r', 'g']);

    let grey = images(&folder, json!({"channels": 1, "held_out": 2})).open().unwrap();
    assert_eq!(grey.shape, [1, 8, 8]);
    // 0.299·255 + 0.587·100.
    assert_eq!(bytes(&item(&grey, "deep.png")), [135; 64]);
}

/// Four classes of different sizes, one below two folders.
fn classes() -> TempDir {
    let folder = folder();
    let put = |name: String, value: u8| write(&folder, &name, encoded(flat(8, 8, [value; 3]), ImageFormat::Png));
    for i in 0..20 {
        put(format!("cat/{i}.png"), i);
        put(format!("dog/deep/{i}.png"), 100 + i);
    }
    put("one/0.png".into(), 200);
    put("two/0.png".into(), 210);
    put("two/1.png".into(), 211);
    folder
}

#[test]
fn folders_are_classes_and_each_gives_its_share() {
    let folder = classes();
    let split = images(&folder, json!({"labels": "folders", "held_out": 0.1})).open().unwrap();
    assert_eq!((split.classes, split.train.len(), split.held_out.len()), (4, 38, 5));
    let mut held_out = split.held_out.labels().to_vec();
    held_out.sort();
    // One of the two of class 3; none of the only one of class 2.
    assert_eq!(held_out, [0, 0, 1, 1, 3]);
    for set in [&split.train, &split.held_out] {
        let classes = ["cat/", "dog/", "one/", "two/"];
        assert!(names(set).iter().zip(set.labels()).all(|(name, label)| name.starts_with(classes[*label as usize])));
        assert!(set.labels().iter().enumerate().all(|(i, label)| set.get(i).unwrap().label == *label));
    }
    assert!(split.notes.iter().any(|note| note == "4 classes: cat, dog, one, two"), "{:?}", split.notes);
    let other = images(&folder, json!({"labels": "folders", "seed": 1})).open().unwrap();
    assert_ne!(names(&other.held_out), names(&split.held_out));
    // Another picture moves no other of its class.
    write(&folder, "cat/new.png", encoded(flat(8, 8, [50; 3]), ImageFormat::Png));
    let more = images(&folder, json!({"labels": "folders", "held_out": 0.1})).open().unwrap();
    let kept = names(&split.held_out).into_iter().filter(|name| names(&more.held_out).contains(name)).count();
    assert!(kept >= 4, "{kept}");

    let some = images(&folder, json!({"labels": "folders", "limit": 22})).open().unwrap();
    assert_eq!(some.train.len() + some.held_out.len(), 22);
    assert!(some.notes.iter().any(|note| note == "22 of 44 pictures are taken"), "{:?}", some.notes);

    write(&folder, "loose.png", encoded(flat(8, 8, [0; 3]), ImageFormat::Png));
    let error = message(images(&folder, json!({"labels": "folders"})).open());
    assert!(error.contains("1 picture(s) lie in none") && error.contains("loose.png"), "{error}");
}

#[test]
fn a_file_gives_the_classes() {
    let folder = folder();
    for i in 0..6 {
        write(&folder, &format!("p/{i}.png"), encoded(flat(8, 8, [i; 3]), ImageFormat::Png));
    }
    let class = |i: usize| ["red", "blue"][i % 2];
    let rows: String = (0..6).map(|i| format!("p/{i}.png,{}\n", class(i))).collect();
    let pairs: Vec<Value> = (0..6).map(|i| json!([format!("p/{i}.png"), class(i)])).collect();
    let object: serde_json::Map<String, Value> = (0..6).map(|i| (format!("p/{i}.png"), class(i).into())).collect();
    for (name, text) in [
        ("a.csv", rows.clone()),
        ("b.csv", format!("file;colour\n{}", rows.replace(',', ";"))),
        ("c.json", Value::Object(object).to_string()),
        ("d.json", json!({ "labels": pairs }).to_string()),
        ("e.csv", rows.replace('/', "\\")),
    ] {
        write(&folder, name, text);
        let split = images(&folder, json!({"labels": {"file": name}})).open().unwrap();
        assert_eq!((split.classes, split.train.len(), split.held_out.len()), (2, 4, 2), "{name}");
        assert_eq!(item(&split, "p/2.png").label, 1, "{name}");
        assert_eq!(item(&split, "p/3.png").label, 0, "{name}");
    }
    let numbered: String = (0..6).map(|i| format!("p/{i}.png,{}\n", 2 * (i % 2))).collect();
    write(&folder, "n.csv", numbered);
    // An absolute path is taken as it is.
    let split = images(&folder, json!({"labels": {"file": folder.path().join("n.csv")}})).open().unwrap();
    assert_eq!((split.classes, item(&split, "p/5.png").label), (3, 2));
    let wrong = |text: String| {
        write(&folder, "w.csv", text);
        message(images(&folder, json!({"labels": {"file": "w.csv"}})).open())
    };
    let error = wrong(rows.replace("p/4.png", "p/9.png"));
    assert!(error.contains("p/4.png has no class") && error.contains("p/9.png is no picture"), "{error}");
    assert!(wrong(rows.replace("p/4.png,red", "p/4.png")).contains("line 5 is not a name and a class: `p/4.png`"));
    assert!(wrong(format!("{rows}p/0.png,blue\n")).contains("p/0.png has two classes"));
    assert!(message(images(&folder, json!({"labels": {"file": "none.csv"}})).open()).contains("none.csv"));
}

#[test]
fn pictures_are_decoded_once() {
    let folder = classes();
    let config = images(&folder, json!({}));
    let (first, decoded) = counted(&config);
    assert_eq!(decoded, 43);
    let (second, decoded) = counted(&config);
    assert_eq!(decoded, 0);
    assert_eq!(first.train.in_memory().unwrap(), second.train.in_memory().unwrap());
    assert_eq!(names(&first.held_out), names(&second.held_out));
    // Neither the split nor the labels are of the decoded pictures.
    assert_eq!(counted(&images(&folder, json!({"seed": 9, "held_out": 5, "labels": "folders", "flip": true}))).1, 0);
    assert_eq!(counted(&images(&folder, json!({"size": 16}))).1, 43);
    let cache = std::fs::read_dir(folder.path().join(".cache")).unwrap();
    let files: Vec<_> = cache.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    let whole: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    // Torn, foreign, and the other's.
    let damages: [&dyn Fn(usize) -> Vec<u8>; 3] =
        [&|i| whole[i][..whole[i].len() / 2].to_vec(), &|i| vec![0; whole[i].len()], &|i| whole[1 - i].clone()];
    for damaged in damages {
        files.iter().enumerate().for_each(|(i, file)| std::fs::write(file, damaged(i)).unwrap());
        let (again, decoded) = counted(&config);
        assert_eq!(decoded, 43);
        assert_eq!(first.train.in_memory().unwrap(), again.train.in_memory().unwrap());
    }
    // A changed picture is decoded, and so are the others with it.
    write(&folder, "cat/3.png", encoded(flat(9, 9, [99; 3]), ImageFormat::Png));
    let (changed, decoded) = counted(&config);
    assert_eq!((decoded, bytes(&item(&changed, "cat/3.png"))), (43, vec![99; 192]));
}

#[test]
fn only_training_pictures_are_mirrored() {
    let split = images(&classes(), json!({"flip": true})).open().unwrap();
    assert!(split.train.get(0).unwrap().mirror && !split.held_out.get(0).unwrap().mirror);
    let aside = split.set_aside().unwrap();
    assert!(aside.train.get(0).unwrap().mirror);
    assert!(!aside.held_out.get(0).unwrap().mirror);
}

#[test]
fn what_is_no_picture_is_named() {
    let folder = classes();
    let error = |folder: &TempDir| message(images(folder, json!({})).open());
    let empty = self::folder();
    let found = error(&empty);
    assert!(found.contains(".png, .jpg, .jpeg or .webp") && found.contains("found beside them: nothing"), "{found}");
    write(&empty, "a.npy", b"");
    assert!(error(&empty).contains("found beside them: 1 .npy"));
    write(&empty, "a.gif", b"");
    assert!(error(&empty).contains("holds pictures 1 .gif, which cannot be read"));
    let noise = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, (x ^ y) as u8]));
    for (name, format) in
        [("cat/a.jpg", ImageFormat::Jpeg), ("cat/b.png", ImageFormat::Png), ("cat/c.webp", ImageFormat::WebP)]
    {
        let whole = encoded(noise.clone(), format);
        for length in [0, 4, whole.len() / 2, whole.len() - 20] {
            write(&folder, name, &whole[..length]);
            let found = images(&folder, json!({})).open().err().unwrap_or_else(|| panic!("{name} of {length} bytes"));
            let found = found.to_string();
            assert!(found.contains(&format!("1 of 44 pictures cannot be read:\n  {name}: ")), "{length}: {found}");
        }
        write(&folder, name, b"<html>404</html>");
        assert!(error(&folder).contains(name));
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    for name in ["cat/5.png", "dog/deep/6.png"] {
        write(&folder, name, b"broken");
    }
    let found = error(&folder);
    assert!(found.contains("2 of 43") && found.contains("cat/5.png") && found.contains("dog/deep/6.png"), "{found}");
    assert!(matches!(images(&folder, json!({"folder": "/nowhere"})).open(), Err(Error::Io { .. })));
    let problems = images(&folder, json!({"folder": "", "size": 2, "channels": 2, "held_out": 0.9, "limit": 1})).open();
    assert!(matches!(problems, Err(Error::Config(problems)) if problems.len() == 5));
    assert!(message(images(&folder, json!({"held_out": 43})).open()).contains("some of the 43 items"));
}

#[test]
fn a_table_is_read_split_and_scaled() {
    let folder = folder();
    let row = |i: usize| format!("{},{},5,{}\n", i, 10.0 - 0.5 * i as f64, ["b", "a"][i % 2]);
    let rows: String = (0..20).map(row).collect();
    let head = "first,second,same,kind\n";
    let with = json!({"label": "kind", "held_out": 4});
    write(&folder, "comma.csv", format!("{head}{rows}"));
    let split = vectors(&folder, "comma.csv", with.clone()).open().unwrap();
    assert_eq!((split.shape, split.classes, split.train.len(), split.held_out.len()), ([3, 1, 1], 2, 16, 4));
    assert_eq!(split.held_out.labels().iter().sum::<i64>(), 2);
    let values = split.train.in_memory().unwrap();
    for j in 0..2 {
        let column: Vec<f64> = values.iter().skip(j).step_by(3).map(|v| f64::from(*v)).collect();
        let mean = column.iter().sum::<f64>() / 16.0;
        let square = column.iter().map(|v| v * v).sum::<f64>() / 16.0;
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6, "{j}: {mean} {square}");
    }
    assert!(values.iter().skip(2).step_by(3).all(|v| *v == 0.0));
    assert!(split.notes.iter().any(|note| note.contains("names of the columns") && note.contains("`,`")));
    assert!(split.notes.iter().any(|note| note.contains("1 column(s) do not vary") && note.contains("same")));
    assert_eq!(item(&split, "row 4").label, 0);
    // What comes out of a network goes back to the units of the file.
    let device = burn::tensor::Device::flex();
    let all: Vec<f32> = item(&split, "row 4").data;
    let stored = burn::tensor::Tensor::<4>::from_data(burn::tensor::TensorData::new(all, [1, 3, 1, 1]), &device);
    let stored: Vec<f32> = split.scaling.to_stored(stored).into_data().iter().collect();
    assert!(stored.iter().zip([3.0, 8.5, 5.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{stored:?}");

    let same = |name: &str, text: String, with: Value| {
        write(&folder, name, text);
        let other = vectors(&folder, name, with).open().unwrap();
        assert_eq!(other.train.in_memory().unwrap(), values, "{name}");
        assert_eq!(other.held_out.labels(), split.held_out.labels(), "{name}");
    };
    same("semicolon.csv", format!("{head}{rows}").replace(',', ";"), with.clone());
    same("tab.tsv", format!("{head}{rows}").replace(',', "\t"), with.clone());
    same("mark.csv", format!("\u{feff}{head}{rows}\n\n").replace('\n', "\r\n"), with.clone());
    same("plain.txt", rows.clone(), json!({"label": "3", "held_out": 4}));
    same("more.csv", format!("x,{head}{}", rows.lines().map(|l| format!("q,{l}\n")).collect::<String>()), {
        json!({"label": "kind", "columns": ["first", "second", "same"], "held_out": 4})
    });
    let raw = vectors(&folder, "comma.csv", json!({"columns": ["second"], "standardize": false, "scale": 2.0})).open();
    let raw = raw.unwrap();
    assert_eq!((raw.shape, raw.classes, raw.train.len(), raw.held_out.len()), ([1, 1, 1], 0, 16, 4));
    assert_eq!(item(&raw, "row 3").data, [18.0]);
}

#[test]
fn a_numpy_table_is_read() {
    let folder = folder();
    let save = |name: &str, dtype: &str, shape: &str, numbers: Vec<u8>| {
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        write(&folder, name, bytes);
    };
    let doubles = (0..20).flat_map(|i| f64::from([i, i % 2][(i % 2) as usize]).to_le_bytes()).collect();
    save("a.npy", "<f8", "(10, 2)", doubles);
    let split = vectors(&folder, "a.npy", json!({"standardize": false})).open().unwrap();
    assert_eq!((split.shape, split.train.len()), ([2, 1, 1], 8));
    assert_eq!(item(&split, "row 3").data, [4.0, 1.0]);
    let floats = (0..20).flat_map(|i| [i as f32, (i % 3) as f32]).flat_map(f32::to_le_bytes).collect();
    save("b.npy", "<f4", "(20, 2)", floats);
    let split = vectors(&folder, "b.npy", json!({"label": "1", "standardize": false})).open().unwrap();
    assert_eq!((split.shape, split.classes, item(&split, "row 6").label), ([1, 1, 1], 3, 2));
    assert_eq!(item(&split, "row 6").data, [5.0]);
    save("c.npy", "<f4", "(40,)", vec![0; 160]);
    assert!(message(vectors(&folder, "c.npy", json!({})).open()).contains("has shape [40]: must be [rows, columns]"));
    save("d.npy", "<i8", "(5, 1)", vec![0; 40]);
    assert!(message(vectors(&folder, "d.npy", json!({})).open()).contains("must be little-endian floats"));
}

#[test]
fn what_is_no_number_is_named_by_line_and_column() {
    let folder = folder();
    let error = |text: &str, more: Value| {
        write(&folder, "t.csv", text);
        message(vectors(&folder, "t.csv", more).open())
    };
    let found = error("a,b\n1,2\n3,\n5,x\nnan,6\n7,8\n", json!({}));
    assert!(found.contains("3 cell(s) are no numbers"), "{found}");
    assert!(found.contains("line 3, column `b` is empty"), "{found}");
    assert!(found.contains("line 4, column `b` is `x`: must be a finite number"), "{found}");
    assert!(found.contains("line 5, column `a` is `nan`"), "{found}");
    assert!(error("a;b\n1,5;2\n3;4\n", json!({})).contains("line 2, column `a` is `1,5`: write numbers with a point"));
    assert!(
        error("a,b\n1,2\n3\n4,5,6\n", json!({}))
            .contains("must have 2 cells, as the first has:\n  line 3 has 1\n  line 4 has 3")
    );
    assert!(error("", json!({})).contains("is empty"));
    assert!(error("a,b\n1,2\n", json!({})).contains("holds 1 row(s)"));
    assert!(error("a,a\n1,2\n3,4\n", json!({})).contains("two columns are called `a`"));
    assert!(error(",a\n0,2\n1,4\n", json!({})).contains("column 1 has no name, as the index that pandas writes"));
    assert!(error("a,b\n1,2\n3,4\n", json!({"label": "c"})).contains("has no column `c`: there are a, b"));
    assert!(error("a\nx\ny\n", json!({"label": "a"})).contains("has no column beside the label"));
    assert!(error("1,2,x\n3,4,y\n", json!({})).contains("column 3 is `x`"));
    let config = vectors(&folder, "t.csv", json!({"columns": ["a", "a"], "label": "a", "scale": 0.0, "held_out": 0}));
    assert!(matches!(config.open(), Err(Error::Config(problems)) if problems.len() == 5));
    assert!(matches!(vectors(&folder, "none.csv", json!({})).open(), Err(Error::Io { .. })));
    assert!(message(vectors(&folder, "none.xlsx", json!({})).open()).contains("must end in .csv"));
}

#[test]
fn everything_is_inspected() {
    let folder = classes();
    let found = images(&folder, json!({"labels": "folders"})).inspect().unwrap();
    assert_eq!((found.stored["png"], found.unusable, found.shape), (43, 0, [3, 8, 8]));
    assert_eq!((found.labels[3].training, found.labels[3].held_out), (1, 1));
    assert!((found.largest - (211.0 / 127.5 - 1.0)).abs() < 1e-6 && found.least == -1.0);

    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tiny/sit/vae-sd");
    let copy = self::folder();
    for entry in std::fs::read_dir(tiny.join("00000")).unwrap().map(|entry| entry.unwrap()) {
        write(&copy, &format!("00000/{}", entry.file_name().to_str().unwrap()), std::fs::read(entry.path()).unwrap());
    }
    write(&copy, "dataset.json", std::fs::read(tiny.join("dataset.json")).unwrap());
    let latents = |folder: &Path| -> DataConfig {
        let json = json!({"kind": "latents", "folder": folder, "shape": [4, 8, 8], "classes": 10, "posterior": true,
            "scale": 0.18215, "held_out": 4});
        serde_json::from_value(json).unwrap()
    };
    let found = latents(copy.path()).inspect().unwrap();
    assert_eq!((found.training, found.held_out, found.stored["f32 [8, 8, 8]"]), (14, 10, 24));
    assert!(found.mean.abs() < 1e-5 && (found.deviation - 1.0).abs() < 1e-5, "{found:?}");
    assert!((0.009..0.028).contains(&found.posterior_deviation.unwrap()));
    let file = "00000/img-mean-std-00000007.npy";
    let mut bytes = std::fs::read(copy.path().join(file)).unwrap();
    bytes[128..132].copy_from_slice(&f32::NAN.to_le_bytes());
    write(&copy, file, bytes);
    write(&copy, "00000/img-mean-std-00000008.npy", b"\x93NUMPY");
    let found = latents(copy.path()).inspect().unwrap();
    assert_eq!((found.unusable, found.problems.len()), (2, 2));
    let named = |name: &str, says: &str| found.problems.iter().any(|p| p.name == name && p.message.contains(says));
    assert!(named(file, "holds NaN") && named("00000/img-mean-std-00000008.npy", "header"), "{:?}", found.problems);
}

#[test]
fn the_same_items_have_the_same_fingerprint() {
    let folder = classes();
    let print = |more: Value| images(&folder, more).open().unwrap().fingerprint(None, &mut |_| ()).unwrap();
    let first = print(json!({}));
    assert_eq!((first.items, &first), (43, &print(json!({}))));
    assert_ne!(first.labels, print(json!({"labels": "folders"})).labels);
    assert_ne!(first.split, print(json!({"seed": 5})).split);
    std::fs::remove_file(folder.path().join("one/0.png")).unwrap();
    assert_eq!(print(json!({})).items, 42);
}
