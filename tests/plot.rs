//! Pictures are there, say what they should, and survive every kind of number.
use burn_mixflow::experiment::plot::{
    ArmCurve, ArmRole, Axis, Block, BudgetPoint, Cell, Chart, GammaCurve, GammaPoint, Panel, Picture, Point, Scale,
    Series, Sheet, SheetRow, SlowCurve, SlowPanel, SlowPoint, Spread, distance_curves, gamma_curves, slow_flow_panels,
};

fn colors(picture: &Picture, color: [u8; 3]) -> usize {
    picture.rgb.chunks_exact(3).filter(|pixel| *pixel == color).count()
}

/// Pixels of a rectangle `(left, top, width, height)` that are not white.
fn inked(picture: &Picture, [left, top, width, height]: [usize; 4]) -> usize {
    let row = |y: usize| &picture.rgb[3 * (y * picture.width + left)..][..3 * width];
    (top..top + height).flat_map(|y| row(y).chunks_exact(3)).filter(|pixel| *pixel != [255; 3]).count()
}

fn steps() -> Axis {
    Axis::new("steps", Scale::Log).with_ticks(vec![5.0, 10.0, 20.0, 50.0])
}

fn one_panel(series: Series) -> Chart {
    Chart::new("A title").with_panel(Panel::new("", steps(), Axis::new("distance", Scale::Log)).with_series(series))
}

fn falling() -> Vec<Point> {
    [5.0, 10.0, 20.0, 50.0].map(|x| Point::new(x, 2.0 / x).between(1.5 / x, 2.5 / x)).into()
}

#[test]
fn a_chart_has_its_size_its_colours_and_its_letters() {
    let picture = one_panel(Series::new("control", falling())).png().unwrap();
    assert_eq!(picture.width, 1800);
    assert!((800..1000).contains(&picture.height), "{}", picture.height);
    // The palette's first colour: the line, the markers, the legend.
    assert!(colors(&picture, [0x00, 0x72, 0xB2]) > 3000, "{}", colors(&picture, [0x00, 0x72, 0xB2]));
    let (title, name, corner) = ([700, 10, 400, 60], [800, 850, 300, 60], [0, 0, 300, 60]);
    assert!(inked(&picture, title) > 500);
    assert!(inked(&picture, name) > 500);
    assert_eq!(inked(&picture, corner), 0);
}

#[test]
fn a_long_title_is_written_smaller() {
    let chart = |title: &str| {
        let panel = Panel::new("", steps(), Axis::new("", Scale::Log)).with_series(Series::new("", falling()));
        Chart::new(title).with_panel(panel).png().unwrap()
    };
    let long = chart(&"Distance of the features ".repeat(5));
    assert!(inked(&long, [0, 20, 1800, 40]) > 2000);
    assert_eq!(inked(&long, [0, 0, 16, 80]) + inked(&long, [1784, 0, 16, 80]), 0);
}

#[test]
fn svg_says_the_same_with_letters_that_every_browser_has() {
    let svg = one_panel(Series::new("MixFlow γ=0.1 < \"control\" & <b>", falling())).svg().unwrap();
    for text in ["A title", "distance", "steps", "\n5\n", "\n10\n", "\n20\n", "\n50\n", "sans-serif", "γ=0.1"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("5.01") && !svg.contains("<b>"));
    assert!(svg.starts_with("<svg width=\"900\""), "{}", &svg[..80]);
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    let chart = one_panel(Series::new("control", falling()));
    assert_eq!(chart.svg().unwrap(), chart.svg().unwrap());
    assert_eq!(chart.png().unwrap().to_png().unwrap(), chart.png().unwrap().to_png().unwrap());
}

#[test]
fn points_that_cannot_be_drawn_are_left_out() {
    let strange = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 5e-324, f64::MAX, f64::MIN];
    for scale in [Scale::Linear, Scale::Log, Scale::Change] {
        for &value in &strange {
            let points = vec![
                Point::new(10.0, value),
                Point::new(value, 0.5),
                Point::new(20.0, 0.4).between(value, value),
                Point::new(50.0, 0.3).give_or_take(Some(value)),
            ];
            let band = Series::new("band", points.clone()).with_spread(Spread::Band);
            let panel = Panel::new("", Axis::new("", scale), Axis::new("", scale).within(value, value))
                .with_series(Series::new("bars", points))
                .with_series(band)
                .with_reference("floor", value)
                .with_guide("guide", Point::new(value, value), Point::new(1.0, 1.0));
            let svg = Chart::new("").with_panel(panel.clone()).svg().unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{scale:?} {value}");
        }
    }
}

#[test]
fn one_point_is_enough_and_none_is_an_error() {
    one_panel(Series::new("control", vec![Point::new(10.0, 1.0)])).png().unwrap();
    for points in [vec![], vec![Point::new(f64::NAN, 1.0)], vec![Point::new(10.0, -1.0)]] {
        let error = one_panel(Series::new("control", points)).svg().unwrap_err().to_string();
        assert!(error.contains("A title") && error.contains("no point"), "{error}");
    }
    assert!(Chart::new("").png().is_err());
}

#[test]
fn many_panels_lines_and_points_fit() {
    let many = |i: usize| (1..3000).map(|x| Point::new(f64::from(x), f64::from(x) + i as f64)).collect();
    let panel = (0..25).fold(Panel::new("many", steps(), Axis::new("", Scale::Log)), |panel, i| {
        panel.with_series(Series::new(format!("a line with quite a long name, number {i}"), many(i)))
    });
    let chart = (0..5).fold(Chart::new("").with_columns(40), |chart, _| chart.with_panel(panel.clone()));
    assert!(chart.svg().unwrap().contains("number 24"));
}

fn budget(evaluations: usize, distance: f64, change: Option<f64>) -> BudgetPoint {
    BudgetPoint { evaluations, distance, deviation: Some(0.01), change, change_error: Some(0.02) }
}

#[test]
fn distances_and_changes_stand_side_by_side() {
    let arm = |name: &str, role, change: Option<f64>| ArmCurve {
        name: name.into(),
        role,
        gamma: None,
        points: vec![budget(5, 0.4, change), budget(10, 0.2, change)],
    };
    let mut arms = vec![arm("none", ArmRole::Untrained, Some(0.1)), arm("control", ArmRole::Control, None)];
    let alone = distance_curves("t", "Fréchet distance", Some(0.1), &arms[1..]).svg().unwrap();
    assert!(!alone.contains("change against the control"));
    arms.push(arm("MixFlow", ArmRole::Other, Some(-0.1)));
    let svg = distance_curves("t", "Fréchet distance", Some(0.1), &arms).svg().unwrap();
    for text in ["change against the control", "floor: real training samples", "MixFlow", "−10 %", "+10 %"] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn changes_by_gamma_have_ticks_at_the_gammas() {
    let points = [0.8, 0.1, 0.4].map(|gamma| GammaPoint { gamma, change: gamma - 0.3, error: None }).into();
    let svg = gamma_curves("t", &[GammaCurve { evaluations: 20, points }]).svg().unwrap();
    for text in ["\n0.1\n", "\n0.4\n", "\n0.8\n", "20 evaluations", "+50 %"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("\n0.2\n"));
}

#[test]
fn slow_flow_stands_beside_the_diagonal() {
    let at = |t: f64| SlowPoint { t, slowness: 0.1 * t, low: 0.08 * t, high: 0.12 * t };
    let panel = |title: &str| SlowPanel {
        title: title.into(),
        curves: vec![SlowCurve { steps: 5, points: [0.2, 0.6, 1.0].map(at).into() }],
    };
    let svg = slow_flow_panels("t", &[panel("before"), panel("after")]).svg().unwrap();
    for text in ["before", "after", "m = t", "γ = 0.1", "5 steps", "t − m"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(slow_flow_panels("t", &[]).svg().is_err());
}

fn sheet() -> Sheet {
    let cell = |value: f32| Cell { samples: vec![value; 4 * 3 * 64], caption: format!("{value}") };
    let row = |title: &str, value| SheetRow { title: title.into(), cells: vec![cell(value), cell(-value)] };
    Sheet {
        title: "Squares".into(),
        columns: vec!["5 steps".into(), "10 steps".into()],
        blocks: vec![Block {
            title: "with guidance".into(),
            rows: vec![row("control", 1.0), row("MixFlow γ = 0.1", 0.0)],
        }],
        shape: [3, 8, 8],
        black: -1.0,
        white: 1.0,
        across: 2,
        enlarge: 4,
    }
}

#[test]
fn a_sheet_holds_every_sample_and_every_name() {
    let whole = sheet().picture().unwrap();
    assert_eq!(whole, sheet().picture().unwrap());
    let area = 4 * (8 * 4) * (8 * 4);
    // One cell of the first row is black, both of the second are grey.
    let counts = [colors(&whole, [0; 3]), colors(&whole, [128; 3])];
    assert_eq!(counts[0], area);
    assert!((2 * area..2 * area + 40).contains(&counts[1]), "{counts:?}");
    let dark = |picture: &Picture| picture.rgb.iter().map(|byte| u64::from(255 - byte)).sum::<u64>();
    for strip in [
        |s: &mut Sheet| s.title.clear(),
        |s: &mut Sheet| s.columns[1].clear(),
        |s: &mut Sheet| s.blocks[0].title.clear(),
        |s: &mut Sheet| s.blocks[0].rows[1].title.clear(),
        |s: &mut Sheet| s.blocks[0].rows[1].cells[1].caption.clear(),
    ] {
        let mut less = sheet();
        strip(&mut less);
        assert!(dark(&less.picture().unwrap()) < dark(&whole));
    }
}

#[test]
fn emoji_fit_the_width_of_a_readme() {
    let cells = vec![Cell { samples: vec![0.0; 8 * 3 * 1024], caption: String::new() }; 3];
    let row = |title: &str| SheetRow { title: title.into(), cells: cells.clone() };
    let rows = ["none", "control", "MixFlow γ = 0.1"].map(row).into();
    let mut sheet = Sheet { blocks: vec![Block { title: String::new(), rows }], shape: [3, 32, 32], ..sheet() };
    (sheet.columns, sheet.across, sheet.enlarge) = (["5", "10", "20"].map(String::from).into(), 4, 2);
    let picture = sheet.picture().unwrap();
    assert!((850..=1000).contains(&picture.width), "{}", picture.width);
}

#[test]
fn a_sheet_says_what_is_wrong_with_it() {
    let with = |change: fn(&mut Sheet)| {
        let mut sheet = sheet();
        change(&mut sheet);
        sheet.picture().unwrap_err().to_string()
    };
    assert!(with(|s| s.blocks.clear()).contains("no cell"));
    assert!(with(|s| s.blocks[0].rows[0].cells[0].samples.truncate(192)).contains("equal numbers"));
    assert!(with(|s| s.columns.truncate(1)).contains("2 cells for 1 columns"));
    assert!(with(|s| s.shape = [2, 8, 8]).contains("channels"));
    assert!(with(|s| s.black = f32::NAN).contains("range"));
    assert!(with(|s| s.enlarge = 0).contains("scale"));
    let mut empty = sheet();
    empty.blocks[0].rows[0].cells[1].samples.clear();
    empty.blocks[0].rows[1].cells.truncate(1);
    empty.picture().unwrap();
    let nan = Cell { samples: vec![f32::NAN; 192], caption: String::new() };
    empty.blocks =
        vec![Block { title: String::new(), rows: vec![SheetRow { title: String::new(), cells: vec![nan] }] }];
    empty.picture().unwrap();
}
