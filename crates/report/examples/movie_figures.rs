//! Makes all pictures and pages of a movie from numbers that are made up here, to see how they look:
//! `cargo run --release -p atomlens-report --example movie_figures FOLDER [SITES FRAMES | MOVIE_FOLDER DOSE]`.
//! SITES and FRAMES are about how many there are. MOVIE_FOLDER holds `movie_DOSE.npy` [frame, y, x], `sites.csv` with
//! x_A and y_A in its second and third column, `occupancy.csv` (frames x sites) and `drift_A.csv`, whose truth is shown
//! as if it had been found.

use std::path::Path;

use atomlens_report::html::{
    ComparisonReport, Condition, FramePicture, Hops, MovieFacts, MovieFrame, MovieReport, MovieSite, RateDifference,
    SelfCheck, SelfCheckRow, Warning, largest_side_px, picture_step,
};
use atomlens_report::site_map::side_by_side;
use atomlens_report::{
    Animation, AnimationFrame, AnimationSettings, AnimationSite, ClassRates, DisplacementPoint, DriftPoint, Estimate,
    EventRaster, Field, MapSite, RateUnit, SiteMap, SiteQuantity, SiteStates, SurvivalPoint, animation, movie_plots,
};
use ndarray::{Array2, Array3};

type Failure = Box<dyn std::error::Error>;

const CLASSES: [&str; 5] = ["interior", "facet", "edge", "corner", "adatom or contact with the support"];
const FRAME_TIME_S: f64 = 0.4;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = Path::new(arguments.first().map_or(".", String::as_str));
    std::fs::create_dir_all(folder)?;
    let movie = match &arguments[..] {
        [_, movie, dose] if Path::new(movie).is_dir() => Movie::read(Path::new(movie), dose)?,
        [_, sites, frames] => Movie::made_up(sites.parse()?, frames.parse()?, 1.0),
        _ => Movie::made_up(111, 120, 1.0),
    };
    let times: Vec<f64> = (0..movie.frames()).map(|frame| FRAME_TIME_S * frame as f64).collect();
    let names = CLASSES.map(str::to_owned);
    let states = movie.states();
    let map_sites = |quantity: &SiteQuantity| movie.map_sites(quantity);
    let mean = movie.mean();

    let occupancy = map_sites(&SiteQuantity::Occupancy);
    let switching = map_sites(&SiteQuantity::SwitchesPerFrame);
    let map = |sites| SiteMap::new(mean.view(), movie.pixel_angstrom, sites, SiteQuantity::Occupancy);
    let occupancy_map = map(&occupancy).drawing()?;
    let switching_map =
        SiteMap::new(mean.view(), movie.pixel_angstrom, &switching, SiteQuantity::SwitchesPerFrame).drawing()?;
    occupancy_map.write_png(folder.join("occupancy_map.png"))?;
    occupancy_map.write_svg(folder.join("occupancy_map.svg"), "occupancy")?;
    switching_map.write_png(folder.join("switching_map.png"))?;

    let raster = EventRaster::new(states, &movie.classes, &names).times_s(&times).bad_frames(&[7]);
    let event_raster = raster.drawing()?;
    event_raster.write_png(folder.join("event_raster.png"))?;
    event_raster.write_svg(folder.join("event_raster.svg"), "events")?;

    movie.animate(&folder.join("movie.gif"), &times)?;

    let rates = movie.rates();
    let total = rates[rates.len() - 1].clone();
    let classes = rates[..rates.len() - 1].to_vec();
    let report = MovieReport {
        title: "Movie of a gold particle in 10 mbar of oxygen".to_owned(),
        program: "atomlens, with numbers made up for this example".to_owned(),
        created: "2026-01-31 12:00".to_owned(),
        movie: MovieFacts {
            name: "particle_<1>.tif".to_owned(),
            frames: movie.frames(),
            bad_frames: vec![7],
            times_s: times.clone(),
            size_px: (mean.ncols(), mean.nrows()),
            pixel_size_nm: 0.1 * movie.pixel_angstrom,
            pixel_size_source: "from the file".to_owned(),
            facts: vec![
                ("Missed columns".to_owned(), "4.1 % of the filled sites, from the inner columns".to_owned()),
                ("False columns".to_owned(), "0.3 % of the empty places, from the vacuum".to_owned()),
            ],
        },
        class_names: names.to_vec(),
        sites: movie.report_sites(),
        total,
        classes,
        rate_unit: RateUnit::PerFrame,
        states: Some(states),
        occupancy_map: Some(occupancy_map),
        switching_map: Some(switching_map),
        event_raster: Some(event_raster),
        frames: movie.report_frames()?,
        drift: movie.drift_points(&times),
        filled_survival: survival(0.02),
        empty_survival: survival(0.06),
        filled_lifetime: Estimate::new(48.0, 41.0, 57.0),
        empty_lifetime: Estimate::new(16.2, 13.1, 20.4),
        autocorrelation: (0..40).map(|lag| (f64::from(lag), (-0.08 * f64::from(lag)).exp())).collect(),
        displacements: (1..12)
            .map(|lag| {
                let value = 2e-5 * f64::from(lag);
                let error = 4e-6 * f64::from(lag).sqrt();
                let mean_square_nm2 = Estimate::new(value, value - error, value + error);
                DisplacementPoint { time: f64::from(lag), mean_square_nm2 }
            })
            .collect(),
        hops: Some(Hops { found: 14.2, by_chance: 9.7 }),
        can_conclude: vec!["Sites at corners switch more often than sites of facets.".to_owned()],
        cannot_conclude: vec![
            "Whether the same atom comes back: atoms of one element look alike.".to_owned(),
            "Visits shorter than one frame (0.4 s) are not seen; rates of sites that switch faster are too low."
                .to_owned(),
        ],
        warnings: vec![Warning {
            place: "frame 7".to_owned(),
            text: "The frame could not be read and was skipped.".to_owned(),
        }],
        self_check: Some(self_check()),
        settings: serde_json::json!({ "model": "fcc", "pixel_size_nm": null }),
        model: None,
    };
    report.write(folder.join("report.html"))?;
    comparison(&movie)?.write(folder.join("comparison.html"))?;
    let maps = [map(&occupancy).title("vacuum"), map(&occupancy).title("10 mbar O₂, 300 °C")];
    side_by_side(&maps)?.write_png(folder.join("maps.png"))?;
    movie_plots::rates_plot(&report.classes, RateUnit::PerFrame).write_png(folder.join("rates.png"), 720)?;
    let noisy: Vec<ClassRates> =
        report.classes.iter().map(|class| ClassRates { naive_rate: 8.0 * class.naive_rate, ..class.clone() }).collect();
    movie_plots::rates_plot(&noisy, RateUnit::PerFrame).write_png(folder.join("rates_of_noise.png"), 720)?;
    Ok(())
}

/// A movie and what is known of its sites.
struct Movie {
    counts: Array3<f32>,
    pixel_angstrom: f64,
    places: Vec<[f64; 2]>,
    classes: Vec<usize>,
    probability: Array2<f32>,
    loss: Array2<f32>,
    gain: Array2<f32>,
    drift: Vec<[f64; 2]>,
}

impl Movie {
    /// A particle on a hexagonal lattice; sites at its edge switch.
    fn made_up(sites: usize, frames: usize, activity: f64) -> Movie {
        let pixel_angstrom = 0.21;
        let neighbour = 2.88;
        let radius = neighbour * (sites as f64 * 0.866 / std::f64::consts::PI).sqrt() + 0.1;
        let side = ((2.0 * radius + 16.0) / pixel_angstrom) as usize;
        let centre = 0.5 * side as f64 * pixel_angstrom;
        let reach = (radius / neighbour / 0.866) as i32 + 2;
        let places: Vec<[f64; 2]> = (-reach..=reach)
            .flat_map(|j| {
                (-2 * reach..=2 * reach).map(move |i| {
                    let (x, y) = (f64::from(i) + 0.5 * f64::from(j), 0.866 * f64::from(j));
                    [neighbour * (x + 0.13), neighbour * (y + 0.07)]
                })
            })
            .filter(|[x, y]| x.hypot(*y) < radius)
            .map(|[x, y]| [x + centre, y + centre])
            .collect();
        let classes = classes(&places, neighbour);
        let mut random = Random(12345);
        let filled = Array2::from_shape_fn((places.len(), frames), |_| 1.0_f32);
        let mut filled = filled;
        for (site, class) in classes.iter().enumerate() {
            let rate = activity * [0.0, 0.004, 0.02, 0.05, 0.09][*class];
            let mut state = random.next() > 0.3 * (rate > 0.0) as u8 as f64;
            for frame in 0..frames {
                if random.next() < rate * if state { 1.0 } else { 2.0 } {
                    state = !state;
                }
                filled[[site, frame]] = f32::from(u8::from(state));
            }
        }
        let drift: Vec<[f64; 2]> =
            (0..frames).map(|frame| [0.04 * frame as f64 % 5.0, 1.5 * (0.05 * frame as f64).sin()]).collect();
        let kept = frames.min(300);
        let counts = picture(&places, &filled, &drift[..kept], side, pixel_angstrom, &mut random);
        Movie::new(counts, pixel_angstrom, places, filled, drift)
    }

    fn new(
        counts: Array3<f32>,
        pixel_angstrom: f64,
        places: Vec<[f64; 2]>,
        filled: Array2<f32>,
        drift: Vec<[f64; 2]>,
    ) -> Movie {
        let mut random = Random(99);
        let classes = classes(&places, 2.88);
        let change = |site: usize, frame: usize, down: bool| {
            frame > 0
                && (filled[[site, frame - 1]] > filled[[site, frame]]) == down
                && filled[[site, frame - 1]] != filled[[site, frame]]
        };
        let shape = filled.dim();
        let sure = Array2::from_shape_fn(shape, |_| 1.0 - 0.6 * random.next().powi(4) as f32);
        let loss = Array2::from_shape_fn(shape, |(s, f)| if change(s, f, true) { sure[[s, f]] } else { 0.0 });
        let gain = Array2::from_shape_fn(shape, |(s, f)| if change(s, f, false) { sure[[s, f]] } else { 0.0 });
        let probability = Array2::from_shape_fn(shape, |(s, f)| filled[[s, f]] * 0.98 + 0.01);
        Movie { counts, pixel_angstrom, places, classes, probability, loss, gain, drift }
    }

    fn read(folder: &Path, dose: &str) -> Result<Movie, Failure> {
        let counts: Array3<u16> = ndarray_npy::read_npy(folder.join(format!("movie_{dose}.npy")))?;
        let table = |name: &str| -> Result<Vec<Vec<f64>>, Failure> {
            let text = std::fs::read_to_string(folder.join(name))?;
            let rows = text.lines().filter(|line| !line.starts_with(|c: char| c == '#' || c.is_alphabetic()));
            rows.map(|line| Ok(line.split(',').map(str::parse).collect::<Result<Vec<f64>, _>>()?)).collect()
        };
        let places: Vec<[f64; 2]> = table("sites.csv")?.iter().map(|row| [row[1], row[2]]).collect();
        let occupancy = table("occupancy.csv")?;
        let filled = Array2::from_shape_fn((places.len(), occupancy.len()), |(s, f)| occupancy[f][s] as f32);
        let drift = table("drift_A.csv")?.iter().map(|row| [row[0], row[1]]).collect();
        Ok(Movie::new(counts.mapv(f32::from), 0.21, places, filled, drift))
    }

    fn frames(&self) -> usize {
        self.probability.ncols()
    }

    fn states(&self) -> SiteStates<'_> {
        SiteStates { probability: self.probability.view(), loss: self.loss.view(), gain: self.gain.view() }
    }

    /// The mean of the frames with the drift taken out to whole pixels.
    fn mean(&self) -> Array2<f32> {
        let (frames, ny, nx) = self.counts.dim();
        Array2::from_shape_fn((ny, nx), |(y, x)| {
            let (mut sum, mut count) = (0.0, 0);
            for frame in 0..frames.min(120) {
                let [dx, dy] = self.drift[frame].map(|d| (d / self.pixel_angstrom).round() as isize);
                let at = [frame, y.wrapping_add_signed(dy), x.wrapping_add_signed(dx)];
                if let Some(value) = self.counts.get(at) {
                    sum += value;
                    count += 1;
                }
            }
            sum / count as f32
        })
    }

    fn site(&self, site: usize) -> MovieSite {
        let frames = self.frames() as f64;
        let filled = f64::from(self.probability.row(site).sum()) / frames;
        let switches = self.states().switches(site);
        let rate = (switches + 0.3) / frames;
        let error = (switches + 0.5).sqrt() / frames;
        let spread = (filled * (1.0 - filled) * (switches + 1.0)).sqrt() * 0.3;
        MovieSite {
            x_nm: 0.1 * self.places[site][0],
            y_nm: 0.1 * self.places[site][1],
            class: self.classes[site],
            occupancy: Estimate::new(filled, (filled - spread).max(0.0), (filled + spread).min(1.0)),
            switch_rate: Estimate::new(rate, (rate - 1.5 * error).max(0.1 / frames), rate + 2.0 * error),
            switches: Estimate::new(switches, (switches - 1.0).max(0.0), switches + 1.0),
            naive_switches: (switches + 3.0 + (site % 5) as f64).round(),
        }
    }

    fn report_sites(&self) -> Vec<MovieSite> {
        (0..self.places.len()).map(|site| self.site(site)).collect()
    }

    fn map_sites(&self, quantity: &SiteQuantity) -> Vec<MapSite> {
        let sites = self.report_sites().into_iter().zip(&self.places).map(|(site, place)| {
            let value = if *quantity == SiteQuantity::Occupancy { site.occupancy } else { site.switch_rate };
            MapSite { x_angstrom: place[0], y_angstrom: place[1], value }
        });
        sites.collect()
    }

    /// The classes that have sites, and all sites.
    fn rates(&self) -> Vec<ClassRates> {
        let sites = self.report_sites();
        let together = |class: Option<usize>| {
            let chosen: Vec<&MovieSite> = sites.iter().filter(|site| class.is_none_or(|c| c == site.class)).collect();
            let count = chosen.len();
            let sum = |of: fn(&MovieSite) -> f64| chosen.iter().map(|site| of(site)).sum::<f64>();
            let switches = sum(|site| site.switches.value);
            let pairs = (count * self.frames()) as f64;
            let around = |value: f64, error: f64| Estimate::new(value, (value - error).max(0.0), value + error);
            let error = 2.0 * (switches + 1.0).sqrt();
            ClassRates {
                class: class.map_or("all sites".to_owned(), |class| CLASSES[class].to_owned()),
                sites: count,
                occupancy: around(sum(|site| site.occupancy.value) / count as f64, 0.01),
                switch_rate: around(switches / pairs, error / pairs),
                fill_rate: around(3.0 * switches / pairs, 3.0 * error / pairs),
                empty_rate: around(0.6 * switches / pairs, 0.6 * error / pairs),
                switches: around(switches, 0.3 * error),
                losses: 0.52 * switches,
                gains: 0.48 * switches,
                naive_switches: sum(|site| site.naive_switches),
                naive_rate: sum(|site| site.naive_switches) / pairs,
            }
        };
        let present = (0..CLASSES.len()).filter(|class| self.classes.contains(class)).map(Some);
        present.chain([None]).map(together).collect()
    }

    fn report_frames(&self) -> Result<Vec<MovieFrame>, Failure> {
        let shown = self.counts.dim().0;
        let step = picture_step(shown);
        let frames = (0..shown).step_by(step).map(|frame| {
            let counts = self.counts.index_axis(ndarray::Axis(0), frame);
            let picture = FramePicture::new(counts, self.pixel_angstrom, largest_side_px(shown / step))?;
            let [dx, dy] = self.drift[frame];
            let places = self.places.iter().map(|[x, y]| [0.1 * (x + dx), 0.1 * (y + dy)]).collect();
            Ok(MovieFrame { frame, picture, places_nm: Some(places) })
        });
        frames.collect()
    }

    fn drift_points(&self, times: &[f64]) -> Vec<DriftPoint> {
        let points = self.drift.iter().zip(times).enumerate().map(|(frame, (place, time))| DriftPoint {
            frame,
            time_s: Some(*time),
            x_nm: 0.1 * place[0],
            y_nm: 0.1 * place[1],
            rotation_rad: 0.002 * (0.03 * frame as f64).sin(),
            sigma_nm: 0.002,
            trusted: frame != 7,
        });
        points.collect()
    }

    fn animate(&self, path: &Path, times: &[f64]) -> Result<(), Failure> {
        let (frames, ny, nx) = self.counts.dim();
        let field = Field::around_places(self.places.iter().map(|p| (p[0], p[1])), 6.0);
        let settings = AnimationSettings { field: Some(field), ..AnimationSettings::default() };
        let mut animation = Animation::create(path, [ny, nx], self.pixel_angstrom, settings)?;
        for frame in (0..frames).step_by(animation::frame_step(frames)) {
            let [dx, dy] = self.drift[frame];
            let site = |site: usize| AnimationSite {
                x_angstrom: self.places[site][0] + dx,
                y_angstrom: self.places[site][1] + dy,
                probability: self.probability[[site, frame]],
                loss: self.loss[[site, frame]],
                gain: self.gain[[site, frame]],
            };
            let sites: Vec<AnimationSite> = (0..self.places.len()).map(site).collect();
            let counts = self.counts.index_axis(ndarray::Axis(0), frame);
            animation.add(&AnimationFrame { counts, number: frame, time_s: Some(times[frame]), sites: &sites })?;
        }
        Ok(animation.finish()?)
    }
}

/// By the number of neighbours.
fn classes(places: &[[f64; 2]], neighbour: f64) -> Vec<usize> {
    let around = |place: &[f64; 2]| {
        let near = |other: &&[f64; 2]| (other[0] - place[0]).hypot(other[1] - place[1]) < 1.25 * neighbour;
        places.iter().filter(near).count() - 1
    };
    let class = |place| match around(place) {
        6.. => 0,
        5 => 1,
        4 => 2,
        3 => 3,
        _ => 4,
    };
    places.iter().map(class).collect()
}

fn picture(
    places: &[[f64; 2]],
    filled: &Array2<f32>,
    drift: &[[f64; 2]],
    side: usize,
    pixel: f64,
    random: &mut Random,
) -> Array3<f32> {
    let mut counts = Array3::from_shape_fn((drift.len(), side, side), |_| 100.0 + 30.0 * random.next() as f32);
    for (frame, [dx, dy]) in drift.iter().enumerate() {
        for (site, [x, y]) in places.iter().enumerate().filter(|(site, _)| filled[[*site, frame]] > 0.5) {
            let centre = [(x + dx) / pixel, (y + dy) / pixel];
            let range = |c: f64| (c as usize).saturating_sub(5)..((c as usize) + 6).min(side);
            for j in range(centre[1]) {
                for i in range(centre[0]) {
                    let squared = (i as f64 - centre[0]).powi(2) + (j as f64 - centre[1]).powi(2);
                    counts[[frame, j, i]] += (40.0 + (site % 4) as f64) as f32 * (-squared / 12.0).exp() as f32;
                }
            }
        }
    }
    counts
}

fn survival(rate: f64) -> Vec<SurvivalPoint> {
    (0..30)
        .map(|step| {
            let time = 2.0 * f64::from(step);
            let value = (-rate * time).exp();
            let error = 0.02 + 0.002 * time;
            let share = Estimate::new(value, (value - error).max(0.0), (value + error).min(1.0));
            SurvivalPoint { time, share }
        })
        .collect()
}

fn self_check() -> SelfCheck {
    let row = |name: &str, value, low, high, unit: &str, meaning: &str| SelfCheckRow {
        name: name.to_owned(),
        value: Estimate::new(value, low, high),
        unit: unit.to_owned(),
        meaning: meaning.to_owned(),
    };
    SelfCheck {
        description:
            "8 simulated movies of the same lattice, pixel size, dose, contrast, drift and rates, analysed alike."
                .to_owned(),
        rows: vec![
            row("Precision of events", 99.2, 98.1, 99.8, "%", "of the events found, so many happened"),
            row("Recall of events", 86.0, 82.0, 89.5, "%", "of the events that happened, so many are found"),
            row("Position error", 9.1, 8.8, 9.4, "pm", "root mean square in one direction"),
            row("Bias of the switching rate", -9.5, -13.0, -6.0, "%", "the rates found are lower than the true ones"),
        ],
    }
}

fn comparison(first: &Movie) -> Result<ComparisonReport, Failure> {
    let second = Movie::made_up(first.places.len(), first.frames(), 2.2);
    let movies = [first, &second];
    let names = ["vacuum", "10 mbar O₂, 300 °C"];
    let conditions: Vec<Condition> = movies
        .iter()
        .zip(names)
        .map(|(movie, name)| {
            let mut classes = movie.rates();
            let total = classes.pop().unwrap_or_default();
            let facts = vec![
                ("Frames".to_owned(), movie.frames().to_string()),
                ("Dose".to_owned(), "40 e/Å² a frame".to_owned()),
                ("Missed columns".to_owned(), "4.1 %".to_owned()),
            ];
            Condition { name: name.to_owned(), facts, total, classes }
        })
        .collect();
    let means = movies.map(Movie::mean);
    let sites = movies.map(|movie| movie.map_sites(&SiteQuantity::SwitchesPerFrame));
    let maps: Vec<SiteMap<'_>> = (0..2)
        .map(|i| {
            SiteMap::new(means[i].view(), movies[i].pixel_angstrom, &sites[i], SiteQuantity::SwitchesPerFrame)
                .title(names[i])
        })
        .collect();
    let differences = conditions[0].classes.iter().chain([&conditions[0].total]).filter_map(|rates| {
        let others = conditions[1].classes.iter().chain([&conditions[1].total]);
        let other = others.into_iter().find(|other| other.class == rates.class)?;
        let (a, b) = (rates.switch_rate, other.switch_rate);
        Some(RateDifference {
            class: rates.class.clone(),
            quantity: "switches per site and frame".to_owned(),
            reference: 0,
            compared: 1,
            reference_value: a,
            compared_value: b,
            difference: Estimate::new(b.value - a.value, b.low - a.high, b.high - a.low),
            ratio: Estimate::new(b.value / a.value, b.low / a.high, b.high / a.low),
            p_value: if b.low > a.high { 0.0004 } else { 0.21 },
            adjusted_p_value: if b.low > a.high { 0.002 } else { 1.0 },
        })
    });
    Ok(ComparisonReport {
        title: "Vacuum against oxygen".to_owned(),
        program: "atomlens, with numbers made up for this example".to_owned(),
        created: "2026-01-31 12:00".to_owned(),
        paragraph:
            "Sites of the particle in 10 mbar of oxygen at 300 °C switch 2.2 times (95 % interval 1.8 to 2.7) as often \
                    as in vacuum (p < 0.001; 120 frames each, 111 and 109 sites)."
                .to_owned(),
        warnings: vec!["The dose differs by a factor of 1.3, which by itself changes rates by up to 5 %.".to_owned()],
        differences: differences.collect(),
        conditions: conditions.clone(),
        rate_unit: RateUnit::PerFrame,
        maps: vec![("How often each site switches, on one scale".to_owned(), side_by_side(&maps)?)],
        methods: vec!["Intervals: bootstrap over sites and over blocks of 12 frames, 2000 draws.".to_owned()],
        settings: serde_json::Value::Null,
    })
}

/// Numbers from 0 to 1 that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}
