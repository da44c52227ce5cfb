//! `atomlens compare`: folders as `track` leaves them, of known paths, and folders that are damaged.

mod common;

use std::fmt::Write;

use atomlens_core::SeedPath;
use common::Place;
use ndarray::Array2;
use rand::RngExt;

/// A condition: sites that switch with these chances a frame, by class.
struct Condition {
    name: &'static str,
    frames: usize,
    chance: f64,
    frame_time_s: Option<f64>,
    classes: &'static [(&'static str, usize)],
    shift_nm: f64,
    seed: u64,
}

const SITES: &[(&str, usize)] = &[("interior", 12), ("edge", 24), ("corner", 6)];

impl Default for Condition {
    fn default() -> Condition {
        let (frames, chance, shift_nm) = (80, 0.05, 0.0);
        Condition { name: "a", frames, chance, frame_time_s: Some(0.5), classes: SITES, shift_nm, seed: 1 }
    }
}

impl Condition {
    /// Writes the folder, its tables as CSV.
    fn write(&self, place: &Place) {
        std::fs::create_dir(place.path(self.name)).unwrap();
        let mut random = SeedPath::new(self.seed).stream();
        let classes: Vec<&str> =
            self.classes.iter().flat_map(|(class, sites)| std::iter::repeat_n(*class, *sites)).collect();
        let mut paths = Array2::from_elem((classes.len(), self.frames), true);
        let (mut switches, mut filled) = (vec![0; classes.len()], vec![self.frames; classes.len()]);
        for (site, class) in classes.iter().enumerate().filter(|(_, class)| **class != "interior") {
            // Half as fast to four times as fast, the same in every movie.
            let chance = (self.chance * 0.5 * 1.3_f64.powi((site % 8) as i32)).min(0.5);
            let mut state = *class == "edge";
            for frame in 0..self.frames {
                if frame > 0 && random.random::<f64>() < chance {
                    state = !state;
                    switches[site] += 1;
                }
                paths[[site, frame]] = state;
            }
            filled[site] = paths.row(site).iter().filter(|state| **state).count();
        }
        let mut sites =
            "site,x_nm,y_nm,x_px,y_px,class,occupancy,switch_rate_per_frame,switch_rate_low,switch_rate_high,\
                         occupancy_low,occupancy_high\n"
                .to_owned();
        let mut occupancy = "frame,site,probability,filled,loss,gain\n".to_owned();
        let steps = self.frames as f64 - 1.0;
        for (site, class) in classes.iter().enumerate() {
            let (x, y) = (0.3 + 0.25 * (site % 7) as f64 + self.shift_nm, 0.3 + 0.25 * (site / 7) as f64);
            let (rate, share) = (f64::from(switches[site]) / steps, filled[site] as f64 / self.frames as f64);
            let (px, py) = (x / 0.02, y / 0.02);
            writeln!(sites, "{site},{x},{y},{px},{py},{class},{share},{rate},{rate},{rate},{share},{share}").unwrap();
        }
        for frame in 0..self.frames {
            for site in 0..classes.len() {
                let before = paths[[site, frame.saturating_sub(1)]];
                let now = paths[[site, frame]];
                let digit = |is: bool| u8::from(is);
                let (p, loss, gain) = (digit(now), digit(before && !now), digit(!before && now));
                writeln!(occupancy, "{frame},{site},{p}.0,{p},{loss}.0,{gain}.0").unwrap();
            }
        }
        place.write(&format!("{}/sites.csv", self.name), sites);
        place.write(&format!("{}/occupancy.csv", self.name), occupancy);
        let rates = |sites: &[usize]| {
            let count: f64 = sites.iter().map(|site| f64::from(switches[*site])).sum();
            let known = |value: f64| serde_json::json!({"value": value, "low": value, "high": value});
            serde_json::json!({
                "occupancy": known(0.5), "switch_rate_per_frame": known(0.1), "fill_rate_per_frame": known(0.1),
                "empty_rate_per_frame": known(0.1), "switches": known(count), "losses": count / 2.0, "gains": count / 2.0,
                "naive_switches": count + 40.0,
            })
        };
        let mut of_classes = Vec::new();
        for (class, _) in self.classes {
            let members: Vec<usize> = (0..classes.len()).filter(|site| classes[*site] == *class).collect();
            let mut of_class = rates(&members);
            of_class["class"] = (*class).into();
            of_class["sites"] = members.len().into();
            of_classes.push(of_class);
        }
        let all: Vec<usize> = (0..classes.len()).collect();
        let summary = serde_json::json!({
            "frames": self.frames, "bad_frames": [], "frame_time_s": self.frame_time_s, "pixel_size_nm": 0.02,
            "image_px": [110, 100], "model": "metal-particles", "neighbour_nm": 0.25,
            "detector": {"missed_share": 0.05, "false_share": 0.01, "separation": 0.99, "probability_threshold": 0.5},
            "signal": {"mean_counts": 40.0, "dose_e_per_a2": null},
            "total": rates(&all), "classes": of_classes,
        });
        place.write(&format!("{}/movie.json", self.name), summary.to_string());
        let image = Array2::from_shape_fn((100, 110), |(y, x)| ((x * 7 + y * 13) % 23) as f32);
        atomlens_formats::write_npy(&place.path(self.name).join("mean_image.npy"), image.view()).unwrap();
    }
}

fn row<'a>(json: &'a serde_json::Value, class: &str, quantity: &str) -> &'a serde_json::Value {
    let rows = json["rows"].as_array().unwrap();
    rows.iter().find(|row| row["class"] == class && row["quantity"] == quantity).unwrap()
}

#[test]
fn a_condition_that_switches_four_times_as_fast() {
    let place = Place::new();
    Condition { name: "vacuum", ..Condition::default() }.write(&place);
    // Other sites than those of the first, so that they are not compared one by one; frames of another length.
    let other = &[("interior", 10), ("edge", 28), ("facet", 5)];
    let fast = Condition { name: "oxygen", chance: 0.2, classes: other, frames: 60, seed: 2, ..Condition::default() };
    fast.write(&place);
    let json = place.run("compare vacuum oxygen --permutations 999 --out result --json").good().json();
    assert_eq!((&json["unit"], &json["conditions"][1]["same_sites"]), (&"second".into(), &false.into()));
    let edge = row(&json, "edge", "switch_rate");
    assert!(edge["ratio_low"].as_f64().unwrap() < 4.0 && edge["ratio_high"].as_f64().unwrap() > 3.0, "{edge}");
    assert!(edge["p_value_adjusted"].as_f64().unwrap() < 0.01 && edge["unit"] == "per_second", "{edge}");
    // Counted by hand: events by sites and seconds.
    let expected = edge["events_a"].as_f64().unwrap() / (24.0 * 79.0 * 0.5);
    assert!((edge["a"].as_f64().unwrap() / expected - 1.0).abs() < 1e-4, "{edge}");
    let warnings = json["warnings"].to_string();
    assert!(
        warnings.contains("vacuum has no facet sites") && warnings.contains("oxygen has no corner sites"),
        "{warnings}"
    );
    let files = place.files("result");
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "comparison.csv",
            "comparison.json",
            "comparison.parquet",
            "occupancy_maps.png",
            "occupancy_maps.svg",
            "paragraph.txt",
            "report.html",
            "settings.json",
            "switching_maps.png",
            "switching_maps.svg"
        ]
    );
    let paragraph = String::from_utf8(files["paragraph.txt"].clone()).unwrap();
    assert!(
        paragraph.contains("edge sites switched") && paragraph.contains("43 sites, 60 frames of 0.5 s"),
        "{paragraph}"
    );
    // The same seed gives the same tables; nothing is written over.
    place.run("compare vacuum oxygen --permutations 999 --out again").good();
    assert!(place.files("again")["comparison.csv"] == files["comparison.csv"]);
    place.run("compare vacuum oxygen --out again").fails("a folder that holds something", 4, &["again", "--out"]);
}

#[test]
fn the_same_sites_are_compared_one_by_one() {
    let place = Place::new();
    Condition { frame_time_s: None, ..Condition::default() }.write(&place);
    Condition { name: "b", shift_nm: 0.1, seed: 3, ..Condition::default() }.write(&place);
    Condition { name: "c", shift_nm: -0.05, seed: 4, chance: 0.1, ..Condition::default() }.write(&place);
    let json = place.run("compare a b c --names rest,rest,fast --permutations 999 --out result --json").good().json();
    let names: Vec<&serde_json::Value> = (0..3).map(|movie| &json["conditions"][movie]["name"]).collect();
    assert_eq!(names, ["rest", "rest (2)", "fast"]);
    assert_eq!((&json["unit"], &json["conditions"][2]["same_sites"]), (&"frame".into(), &true.into()));
    assert!(json["warnings"].to_string().contains("frame time of rest is not known"), "{}", json["warnings"]);
    let of = |other: &str| {
        let rows = json["rows"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["condition_b"] == other && row["class"] == "all");
        rows.find(|row| row["quantity"] == "switch_rate").unwrap()["p_value_adjusted"].as_f64().unwrap()
    };
    assert!(of("rest (2)") > 0.05 && of("fast") < 0.01, "{} {}", of("rest (2)"), of("fast"));
}

#[test]
fn folders_that_cannot_be_compared() {
    let place = Place::new();
    Condition::default().write(&place);
    Condition { name: "b", ..Condition::default() }.write(&place);
    std::fs::create_dir(place.path("empty")).unwrap();
    place.run("compare a --out r").fails("one folder", 2, &["required"]);
    place.run("compare a b --names x --out r").fails("one name", 2, &["number of names", "2"]);
    place.run("compare a empty --out r").fails("not of track", 3, &["empty", "movie.json", "atomlens track"]);
    place.run("compare a nowhere --out r").fails("no folder", 3, &["nowhere", "atomlens track"]);
    let whole = std::fs::read_to_string(place.path("b/occupancy.csv")).unwrap();
    place.write("b/occupancy.csv", &whole[..whole.len() / 2]);
    place.run("compare a b --out r").fails("half a table", 3, &["occupancy", "track"]);
    place.write("b/occupancy.csv", whole.replace("79,0,1.0", "79,0,7.0"));
    place.run("compare a b --out r").fails("no probability", 3, &["occupancy", "a probability"]);
    place.write("b/occupancy.csv", whole.replace("probability", "chance"));
    place.run("compare a b --out r").fails("no column", 3, &["occupancy", "no column probability"]);
    place.write("b/occupancy.csv", &whole);
    place.write("b/occupancy.parquet", "PAR1 and nothing");
    place.run("compare a b --out r").fails("no Parquet", 3, &["occupancy.parquet"]);
    std::fs::remove_file(place.path("b/occupancy.parquet")).unwrap();
    let sites = std::fs::read_to_string(place.path("b/sites.csv")).unwrap();
    place.write("b/sites.csv", sites.lines().next().unwrap());
    place.run("compare a b --out r").fails("no sites", 3, &["b", "no rows"]);
    place.write("b/movie.json", "{");
    place.run("compare a b --out r").fails("half a summary", 3, &["b", "movie.json"]);
    assert!(!place.path("r").exists());
}
