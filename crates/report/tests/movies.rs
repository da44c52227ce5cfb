//! Pictures and pages of movies: what is drawn is where it should be, nothing is cut off, and pages of any number of
//! sites stand by themselves.

use atomlens_report::html::{
    ComparisonReport, Condition, FramePicture, MovieFacts, MovieFrame, MovieReport, MovieSite, RateDifference,
    SelfCheck, SelfCheckRow, Warning,
};
use atomlens_report::site_map::side_by_side;
use atomlens_report::{
    Animation, AnimationFrame, AnimationSettings, AnimationSite, ClassRates, ColourMap, DriftPoint, Estimate,
    EventRaster, Field, MapSite, RateUnit, ReportError, SiteMap, SiteQuantity, SiteStates, SurvivalPoint, animation,
};
use ndarray::Array2;

use page_checks::{HOSTILE, assert_self_contained, assert_well_nested};

mod page_checks;

/// Sites on a square lattice that switch as often as their class says.
struct Movie {
    classes: Vec<usize>,
    names: Vec<String>,
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    frame: Array2<f32>,
}

impl Movie {
    fn new(sites: usize, frames: usize) -> Movie {
        let classes: Vec<usize> = (0..sites).map(|site| site % 3).collect();
        let names =
            ["interior", "edge", "a class of a name so long that it has to be broken"].map(str::to_owned).to_vec();
        // Sites of class 0 never switch, the others every fifth and third frame.
        let filled = |site: usize, frame: usize| match site % 3 {
            0 => true,
            1 => (frame / 5 + site).is_multiple_of(2),
            _ => (frame / 3 + site).is_multiple_of(2),
        };
        let table = |of: &dyn Fn(usize, usize) -> bool| {
            Array2::from_shape_fn((sites, frames), |(site, frame)| f32::from(u8::from(of(site, frame))))
        };
        let probability = table(&filled);
        let loss = table(&|s, f| f > 0 && filled(s, f - 1) && !filled(s, f));
        let gain = table(&|s, f| f > 0 && !filled(s, f - 1) && filled(s, f));
        let frame = Array2::from_shape_fn((60, 80), |(y, x)| ((x * 7 + y * 13) % 29) as f32);
        Movie { classes, names, probability, loss, gain, frame }
    }

    fn states(&self) -> SiteStates<'_> {
        SiteStates { probability: self.probability.view(), loss: self.loss.view(), gain: self.gain.view() }
    }

    fn raster(&self) -> EventRaster<'_> {
        EventRaster::new(self.states(), &self.classes, &self.names)
    }

    fn place_nm(site: usize) -> [f64; 2] {
        [0.3 + 0.28 * (site % 40) as f64, 0.3 + 0.28 * (site / 40) as f64]
    }

    fn report(&self) -> MovieReport<'_> {
        let sites = (0..self.classes.len()).map(|site| {
            let [x_nm, y_nm] = Movie::place_nm(site);
            let switches = self.states().switches(site);
            MovieSite {
                x_nm,
                y_nm,
                class: self.classes[site],
                occupancy: Estimate::new(0.9, 0.85, 0.94),
                switch_rate: Estimate::new(0.01 * switches, 0.008 * switches, 0.012 * switches),
                switches: Estimate::without_interval(switches),
                naive_switches: switches + 4.0,
            }
        });
        let frames = self.probability.ncols();
        MovieReport {
            title: "Movie".to_owned(),
            program: "atomlens".to_owned(),
            movie: MovieFacts { name: "movie.tif".to_owned(), frames, pixel_size_nm: 0.02, ..MovieFacts::default() },
            class_names: self.names.clone(),
            sites: sites.collect(),
            total: rates("all"),
            classes: vec![rates("interior"), rates("edge")],
            states: Some(self.states()),
            frames: (0..frames.min(3))
                .map(|frame| MovieFrame {
                    frame,
                    picture: FramePicture::new(self.frame.view(), 0.2, 1024).unwrap(),
                    places_nm: None,
                })
                .collect(),
            ..MovieReport::default()
        }
    }
}

fn rates(class: &str) -> ClassRates {
    ClassRates {
        class: class.to_owned(),
        sites: 111,
        occupancy: Estimate::new(0.95, 0.94, 0.96),
        switch_rate: Estimate::new(0.0117, 0.0103, 0.0131),
        fill_rate: Estimate::new(0.05, 0.04, 0.06),
        empty_rate: Estimate::new(0.005, 0.004, 0.006),
        switches: Estimate::new(139.2, 130.1, 148.4),
        losses: 70.0,
        gains: 69.0,
        naive_switches: 581.0,
        naive_rate: 0.044,
    }
}

/// A page asks for nothing from elsewhere, and what it was given as text is text.
fn assert_sound(page: &str) {
    assert_self_contained(page);
    assert_well_nested(page);
    assert!(!page.contains("<img onerror"));
}

fn data_of(page: &str) -> serde_json::Value {
    page_checks::data_of(page).into_iter().next().expect("a viewer")
}

fn map_site(x: f64, y: f64, value: Estimate) -> MapSite {
    MapSite { x_angstrom: x, y_angstrom: y, value }
}

#[test]
fn a_disc_has_the_colour_of_its_value_and_lies_on_its_column() {
    // Bright columns on dark, 3 A apart, half of the image without any.
    let pixel = 0.15;
    let places: Vec<[f64; 2]> = (0..12).map(|i| [4.0 + 3.0 * f64::from(i % 4), 5.0 + 3.0 * f64::from(i / 4)]).collect();
    let image = Array2::from_shape_fn((160, 200), |(j, i)| {
        let near = |p: &[f64; 2]| (i as f64 * pixel - p[0]).hypot(j as f64 * pixel - p[1]) < 1.4;
        f32::from(u8::from(places.iter().any(near)))
    });
    let sites: Vec<MapSite> = places
        .iter()
        .enumerate()
        .map(|(i, p)| map_site(p[0], p[1], Estimate::new(i as f64 / 11.0, i as f64 / 11.0, i as f64 / 11.0)))
        .collect();
    let drawing = SiteMap::new(image.view(), pixel, &sites, SiteQuantity::Occupancy).drawing().unwrap();
    let picture = drawing.rasterise().unwrap();
    // The crop begins one and a half neighbours left of and above the first site; 820 pixels or so hold its width.
    for (index, fraction) in [(0, 0.0), (5, 5.0 / 11.0), (11, 1.0)] {
        let colour = ColourMap::Viridis.colour(fraction);
        let close = |pixel: &image::Rgb<u8>| pixel.0.iter().zip(colour.0).all(|(a, b)| a.abs_diff(b) < 6);
        let found: Vec<(f64, f64)> = picture
            .enumerate_pixels()
            .filter(|(x, _, pixel)| *x < 800 && close(pixel))
            .map(|(x, y, _)| (f64::from(x), f64::from(y)))
            .collect();
        assert!(found.len() > 300, "site {index}: {}", found.len());
        let n = found.len() as f64;
        let (x, y) = (found.iter().map(|p| p.0).sum::<f64>() / n, found.iter().map(|p| p.1).sum::<f64>() / n);
        // Around the disc the bright column is seen, as far to all sides.
        let white = |dx: i64, dy: i64| {
            (0..200)
                .map(|d| picture.get_pixel_checked((x as i64 + dx * d) as u32, (y as i64 + dy * d) as u32))
                .position(|pixel| pixel.is_some_and(|pixel| pixel.0.iter().all(|c| *c > 200)))
        };
        let sides = [white(1, 0), white(-1, 0), white(0, 1), white(0, -1)].map(|d| d.expect("the column is seen"));
        assert!(sides.iter().max().unwrap() - sides.iter().min().unwrap() <= 2, "{sides:?}");
    }
}

#[test]
fn maps_beside_each_other_have_one_scale() {
    let image = Array2::from_shape_fn((80, 80), |(y, x)| ((x * y) % 13) as f32);
    let a = [map_site(5.0, 5.0, Estimate::new(0.02, 0.01, 0.03)), map_site(8.0, 5.0, Estimate::UNKNOWN)];
    let b = [map_site(5.0, 5.0, Estimate::new(0.08, 0.07, 0.09)), map_site(8.0, 5.0, Estimate::new(0.08, 0.0, 0.4))];
    let map = |sites| SiteMap::new(image.view(), 0.2, sites, SiteQuantity::SwitchesPerFrame);
    let maps = [map(&a).title("vacuum"), map(&b).title("oxygen, of a title that is so long that it has to be broken")];
    let both = side_by_side(&maps).unwrap();
    let svg = both.to_svg("both");
    assert!(roxmltree::Document::parse(&svg).is_ok());
    // One colour bar whose end is the larger of both, two scale bars of one length.
    assert_eq!(svg.matches("Switches per frame").count(), 1);
    assert!(svg.contains(">0.08<") && !svg.contains(">0.10<") && !svg.contains("≥"));
    assert_eq!(svg.matches("0.2 nm").count(), 2);
    assert!(svg.contains("95 % interval wider than 0.02"));
    assert!(both.width_px > 1900 && map(&a).drawing().unwrap().width_px < 1100);
    for count in [3, 4, 5, 7] {
        let maps: Vec<SiteMap<'_>> = (0..count).map(|i| map(&a).title(format!("condition {i}"))).collect();
        let drawing = side_by_side(&maps).unwrap();
        assert_eq!(drawing.to_svg("").matches("condition").count(), count);
        assert!(drawing.rasterise().is_ok());
    }
    // No sites, and places outside of the image.
    assert!(map(&[]).drawing().is_ok());
    assert!(
        map(&[map_site(-50.0, f64::NAN, Estimate::UNKNOWN), map_site(900.0, 4.0, Estimate::UNKNOWN)]).drawing().is_ok()
    );
    assert!(matches!(side_by_side(&[]), Err(ReportError::Empty { .. })));
    let nothing = Array2::<f32>::zeros((0, 4));
    let error = SiteMap::new(nothing.view(), 0.2, &a, SiteQuantity::Occupancy).drawing().unwrap_err();
    assert!(matches!(error, ReportError::NoPixels { .. }));
    let flat = Array2::from_elem((40, 40), f32::NAN);
    assert!(SiteMap::new(flat.view(), 0.2, &a, SiteQuantity::Occupancy).drawing().unwrap().rasterise().is_ok());
}

#[test]
fn a_raster_shows_what_switches_and_says_what_does_not() {
    let movie = Movie::new(30, 60);
    let svg = movie.raster().drawing().unwrap().to_svg("events");
    assert!(roxmltree::Document::parse(&svg).is_ok());
    assert!(svg.contains("Not shown: 10 of 30 sites, which never switch"));
    assert!(svg.contains("10 of 10") && svg.contains(">frame<"));
    let times: Vec<f64> = (0..60).map(|frame| 0.5 * f64::from(frame)).collect();
    let drawing = movie.raster().times_s(&times).bad_frames(&[3, 900]).title("Particle 3").drawing().unwrap();
    let svg = drawing.to_svg("events");
    assert!(svg.contains("time (s)") && svg.contains("Particle 3"));

    // Rows have the colours of their states: of the pixels, those of the class that switches every fifth frame are half
    // filled, half empty.
    let picture = movie.raster().drawing().unwrap().rasterise().unwrap();
    let count = |colour: [u8; 3]| picture.pixels().filter(|pixel| pixel.0 == colour).count() as f64;
    let (filled, empty) = (count([0x8a, 0xb6, 0xd6]), count([0xf1, 0xf1, 0xee]));
    assert!(filled > 100_000.0 && (filled / empty - 1.0).abs() < 0.1, "{filled} {empty}");
    // 200 + 380 switches, half of them losses; marks take a third of a frame or seven pixels.
    let (losses, gains) = (count([0xd5, 0x5e, 0x00]), count([0x00, 0x66, 0x4b]));
    assert!(losses > 20_000.0 && (losses / gains - 1.0).abs() < 0.2, "{losses} {gains}");
}

#[test]
fn rasters_of_any_size_are_drawn_and_nothing_reaches_the_edge() {
    for (sites, frames) in [(1, 1), (1, 10), (3, 2), (111, 120), (2000, 10), (12, 10_000), (4200, 300)] {
        let movie = Movie::new(sites, frames);
        let drawing = movie.raster().drawing().unwrap();
        assert!(drawing.height_px < 2400, "{sites} x {frames}: {}", drawing.height_px);
        let picture = drawing.rasterise().unwrap();
        for y in 0..picture.height() {
            for x in [0, 1, picture.width() - 2, picture.width() - 1] {
                assert_eq!(picture.get_pixel(x, y).0, [255; 3], "{sites} x {frames} at {x}, {y}");
            }
        }
    }
    let movie = Movie::new(9, 20);
    let wrong = Array2::<f32>::zeros((9, 19));
    let states = SiteStates { loss: wrong.view(), ..movie.states() };
    let error = EventRaster::new(states, &movie.classes, &movie.names).drawing().unwrap_err();
    assert!(error.to_string().contains("9 sites in 19 frames"), "{error}");
    let error = EventRaster::new(movie.states(), &movie.classes[1..], &movie.names).drawing().unwrap_err();
    assert!(matches!(error, ReportError::Count { found: 8, expected: 9, .. }), "{error}");
}

#[test]
fn an_animation_has_its_frames_its_time_and_its_colours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movie.gif");
    let settings = AnimationSettings { frame_ms: 250, limits: Some((0.0, 100.0)), ..AnimationSettings::default() };
    let field = Field::around_places([(4.0, 4.0), (12.0, 9.0)], 2.0);
    let settings = AnimationSettings { field: Some(field), ..settings };
    let counts = Array2::from_elem((70, 90), 50.0_f32);
    let mut animation = Animation::create(&path, [70, 90], 0.2, settings).unwrap();
    for number in 0..4 {
        let site =
            |x, filled, loss| AnimationSite { x_angstrom: x, y_angstrom: 6.0, probability: filled, loss, gain: 0.0 };
        let sites =
            [site(5.0, 1.0, 0.0), site(10.0, f32::from(u8::from(number < 2)), f32::from(u8::from(number == 2)))];
        let time_s = Some(0.4 * number as f64);
        animation.add(&AnimationFrame { counts: counts.view(), number, time_s, sites: &sites }).unwrap();
    }
    assert!(!path.exists(), "the file takes its name when it is finished");
    let wrong = Array2::from_elem((70, 89), 0.0_f32);
    let frame = AnimationFrame { counts: wrong.view(), number: 4, time_s: None, sites: &[] };
    assert!(matches!(animation.add(&frame), Err(ReportError::GridShape { .. })));
    animation.finish().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    // Read by the decoder: frames, delays, colours.
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    let mut decoder = options.read_info(std::fs::File::open(&path).unwrap()).unwrap();
    let palette: Vec<[u8; 3]> = decoder.global_palette().unwrap().chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    let (mut frames, mut orange) = (0, Vec::new());
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert_eq!(frame.delay, 25);
        assert!((frame.width, frame.height) >= (400, 300));
        let reddish = |index: &&u8| {
            let [r, g, b] = palette[usize::from(**index)];
            r > 200 && g < 120 && b < 120
        };
        orange.push(frame.buffer.iter().filter(reddish).count());
        frames += 1;
    }
    assert_eq!(frames, 4);
    // The legend alone, before the loss; then a flash that fades.
    assert!(orange[1] == orange[0] && orange[2] > orange[1] + 200 && orange[3] < orange[2], "{orange:?}");

    // What is not finished leaves nothing; an animation is bounded.
    let other = folder.path().join("other.gif");
    drop(Animation::create(&other, [70, 90], 0.2, AnimationSettings::default()).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!([120, 300, 301, 10_000].map(animation::frame_step), [1, 1, 2, 34]);
    let missing = folder.path().join("missing").join("movie.gif");
    let error = Animation::create(missing, [70, 90], 0.2, AnimationSettings::default()).unwrap_err();
    assert!(error.to_string().contains("movie.gif"), "{error}");
}

#[test]
fn a_movie_page_opens_with_the_answer() {
    let movie = Movie::new(111, 30);
    let map_sites: Vec<MapSite> = (0..111)
        .map(|site| {
            let [x, y] = Movie::place_nm(site);
            map_site(10.0 * x, 10.0 * y, Estimate::new(0.9, 0.8, 1.0))
        })
        .collect();
    let map = SiteMap::new(movie.frame.view(), 2.0, &map_sites, SiteQuantity::Occupancy).drawing().unwrap();
    let report = MovieReport {
        occupancy_map: Some(map),
        event_raster: Some(movie.raster().drawing().unwrap()),
        drift: (0..30)
            .map(|frame| DriftPoint {
                frame,
                time_s: None,
                x_nm: 0.01 * frame as f64,
                y_nm: 0.0,
                rotation_rad: 0.001 * frame as f64,
                sigma_nm: 0.001,
                trusted: frame != 4,
            })
            .collect(),
        filled_survival: (0..20)
            .map(|i| SurvivalPoint { time: f64::from(i), share: Estimate::new(0.9, 0.8, f64::NAN) })
            .collect(),
        can_conclude: vec!["Edges switch.".to_owned()],
        cannot_conclude: vec!["Whether it is the same atom.".to_owned()],
        warnings: vec![Warning { place: "frame 4".to_owned(), text: "is noise".to_owned() }],
        self_check: Some(SelfCheck {
            description: "20 simulated movies".to_owned(),
            rows: vec![SelfCheckRow {
                name: "Recall of events".to_owned(),
                value: Estimate::new(86.0, 82.0, 90.0),
                unit: "%".to_owned(),
                meaning: String::new(),
            }],
        }),
        ..movie.report()
    };
    let page = report.to_html().unwrap();
    assert_sound(&page);
    for text in [
        "111 sites in 30 frames.",
        "They are filled in 95.0 % (94.0 to 96.0 %) of the time",
        "37 of them never switch.",
        "139 (130 to 148) switches, 70 from filled to empty and 69 back: 0.0117 (0.0103 to 0.0131) per site and frame",
        "gives 581, 4.2 times as many",
        "[0.0103, 0.0131]",
        "frame 4",
        "Whether it is the same atom.",
        "86.0 [82.0, 90.0] %",
        "3 frames of 30",
        "a class of a name so long",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    let data = data_of(&page);
    assert_eq!(data["frames"].as_array().unwrap().len(), 3);
    assert_eq!(data["frames"][1]["filled"].as_array().unwrap().len(), 111);
    assert_eq!((data["x"][1].as_f64(), data["occupancy"][0].as_f64()), (Some(0.58), Some(0.9)));
}

#[test]
fn losses_of_frames_between_those_shown_are_not_lost() {
    let movie = Movie::new(6, 30);
    let mut report = movie.report();
    report.frames.iter_mut().zip([0, 10, 20]).for_each(|(shown, frame)| shown.frame = frame);
    let data = data_of(&report.to_html().unwrap());
    // Site 1 begins empty and switches at 5 and 10: filled, then emptied.
    let sites = |kind: &str, frame: usize| -> Vec<u64> {
        let pairs = data["frames"][frame][kind].as_array().unwrap().iter();
        pairs.map(|pair| pair[0].as_u64().unwrap()).collect()
    };
    assert!(sites("losses", 0).is_empty());
    assert!(sites("gains", 1).contains(&1) && sites("losses", 1).contains(&1));
    assert!(!sites("losses", 1).contains(&0));
}

#[test]
fn pages_of_one_site_and_of_two_thousand() {
    for sites in [0, 1, 2000] {
        let movie = Movie::new(sites, 40);
        let mut report = movie.report();
        if sites == 0 {
            report.states = None;
        }
        let page = report.to_html().unwrap();
        assert_sound(&page);
        assert!(page.len() < 2_500_000, "{sites}: {}", page.len());
        let opening =
            ["No sites were found in 40 frames.", "1 site in 40 frames. It is filled", "2000 sites in 40 frames. They"];
        assert!(page.contains(opening[sites.min(2)]), "{sites}");
    }
    let movie = Movie::new(4, 9);
    let report = MovieReport { sites: Vec::new(), ..movie.report() };
    assert!(matches!(report.to_html(), Err(ReportError::Count { found: 0, expected: 4, .. })));
    // Nothing at all.
    assert_sound(&MovieReport::default().to_html().unwrap());
}

#[test]
fn a_comparison_begins_with_what_can_be_quoted() {
    let condition = |name: &str, dose: Option<&str>| Condition {
        name: name.to_owned(),
        facts: dose.map(|dose| ("Dose".to_owned(), dose.to_owned())).into_iter().collect(),
        total: rates("all"),
        classes: vec![rates("edge"), ClassRates { switch_rate: Estimate::UNKNOWN, ..rates("corner") }],
    };
    let mut report = ComparisonReport {
        title: "Gas".to_owned(),
        paragraph: "Edges switch 2.1 times as often.".to_owned(),
        warnings: vec!["The doses differ.".to_owned()],
        conditions: vec![condition("vacuum", Some("40 e/Å²")), condition("oxygen", None), condition(HOSTILE, None)],
        rate_unit: RateUnit::PerSecond,
        differences: vec![RateDifference {
            class: "edge".to_owned(),
            quantity: "switches per site and second".to_owned(),
            reference: 0,
            compared: 1,
            reference_value: Estimate::new(0.012, 0.010, 0.014),
            compared_value: Estimate::new(0.025, 0.021, 0.030),
            difference: Estimate::new(0.013, 0.008, 0.018),
            ratio: Estimate::new(2.1, 1.6, 2.7),
            p_value: 0.0002,
            adjusted_p_value: f64::NAN,
        }],
        methods: vec!["Bootstrap.".to_owned()],
        ..ComparisonReport::default()
    };
    let page = report.to_html().unwrap();
    assert_sound(&page);
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing"));
    assert!(
        place("Edges switch 2.1 times") < place("The doses differ.")
            && place("The doses differ.") < place("Differences")
    );
    for text in ["oxygen against vacuum", "&#60; 0.001", "[1.60, 2.70]", "40 e/Å²", "per second", "Bootstrap."] {
        place(text);
    }
    assert!(!page.contains("p, all together"));
    report.differences[0].adjusted_p_value = 0.04;
    assert!(report.to_html().unwrap().contains("p, all together"));
    report.differences[0].compared = 3;
    assert!(matches!(report.to_html(), Err(ReportError::Count { found: 3, expected: 4, .. })));
    assert_sound(&ComparisonReport::default().to_html().unwrap());
}

#[test]
fn hostile_names_are_text_on_pages_of_movies() {
    let movie = Movie::new(5, 9);
    let hostile = HOSTILE.to_owned();
    let report = MovieReport {
        title: hostile.clone(),
        class_names: vec![hostile.clone(); 3],
        classes: vec![rates(HOSTILE), rates("edge")],
        can_conclude: vec![hostile.clone()],
        warnings: vec![Warning { place: hostile.clone(), text: hostile.clone() }],
        movie: MovieFacts {
            name: hostile.clone(),
            frames: 9,
            facts: vec![(hostile.clone(), hostile.clone())],
            ..MovieFacts::default()
        },
        event_raster: Some(
            EventRaster::new(movie.states(), &movie.classes, &vec![hostile.clone(); 3]).drawing().unwrap(),
        ),
        settings: serde_json::json!({ HOSTILE: HOSTILE }),
        ..movie.report()
    };
    let page = report.to_html().unwrap();
    assert_sound(&page);
    assert_eq!(data_of(&page)["classes"][0], HOSTILE);
}
