//! Detected columns against the truth: precision, recall, F1 and position error, by file and in total.
//!
//! Columns are paired one to one within 0.05 nm ([`atomlens_analysis::score`]). Both tables are read by their headers
//! ([`places`]). Files are matched by name without folder and ending, frames by number; a table that names no file or
//! no frame can only mean the one of the other table. A frame that only one of the two tables has is a frame in which the
//! other saw nothing.
//!
//! **Places.** With a pixel size, places in pixels times that size are compared where a table has them, since pixels are
//! what image and truth have in common; lengths otherwise. Without one, lengths are compared.

pub mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use atomlens_analysis::matching::HIT_RADIUS_ANGSTROM;
use atomlens_analysis::score::{ScoreTable, Tally};
use atomlens_core::glam::DVec2;
use serde::Serialize;

use self::places::{PlaceRow, PlaceTable};
use crate::WorkflowError;
use crate::info::rounded;

const ANGSTROM_PER_NM: f64 = 10.0;

/// What the job is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSettings {
    /// The table of detected columns.
    pub columns: PathBuf,
    /// The table of true columns; several if each is that of the file of the same name.
    pub truth: Vec<PathBuf>,
    /// Distance between pixels.
    pub pixel_size_nm: Option<f64>,
    /// Whether frames have lines of their own.
    pub by_frame: bool,
}

/// What the job found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreSummary {
    /// The figures.
    #[serde(flatten)]
    pub table: ScoreTable,
    /// Largest distance of a hit.
    pub hit_radius_nm: f64,
    /// Distance between pixels, if places in pixels were compared.
    pub pixel_size_nm: Option<f64>,
    /// What a user should know about the comparison.
    pub notes: Vec<String>,
}

impl fmt::Display for ScoreSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table.to_string().trim_end())?;
        for note in &self.notes {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// Runs the job.
///
/// # Errors
/// Tables that cannot be read, or that are not of the same files; places in pixels without a pixel size.
pub fn run(settings: &ScoreSettings) -> Result<ScoreSummary, WorkflowError> {
    let columns = PlaceTable::read(&settings.columns)?;
    let truth = read_truth(&settings.truth)?;
    let mut notes = Vec::new();
    notes.extend(columns.assumed_pixels().into_iter().chain(truth.assumed_pixels()));
    let pixel = settings.pixel_size_nm;
    for table in [&columns, &truth] {
        notes.extend(pixel.and_then(|pixel| other_pixel_size(table, pixel)));
        if pixel.is_none() && !table.has_nm && !table.rows.is_empty() {
            return Err(WorkflowError::PixelSizeNeeded { path: table.path.clone() });
        }
    }
    let in_pixels = pixel.is_some() && (columns.has_px || truth.has_px);
    if pixel.is_some() && !in_pixels {
        notes.push("the pixel size is not needed: both tables have lengths alone".to_owned());
    }
    let frames = Matched::new(&columns, &truth)?;
    let mut tallies: Vec<(String, Tally)> = Vec::new();
    for ((file, frame), [found, there]) in &frames.0 {
        let place = |row: &&PlaceRow| place_angstrom(row, pixel);
        let detected: Vec<DVec2> = found.iter().map(place).collect();
        let truth: Vec<DVec2> = there.iter().map(place).collect();
        let tally = Tally::of(&detected, &truth);
        let name = match (frame, settings.by_frame) {
            (Some(frame), true) => format!("{file}, frame {frame}"),
            _ => file.clone(),
        };
        match tallies.last_mut() {
            Some((last, sum)) if *last == name => sum.add(&tally),
            _ => tallies.push((name, tally)),
        }
    }
    let table = ScoreTable::new(tallies.iter().map(|(name, tally)| (name.clone(), tally)));
    if table.total.hits == 0 && !columns.rows.is_empty() && !truth.rows.is_empty() {
        notes.push("not a single column lies on a true one: are the pixel size and the units right?".to_owned());
    }
    let hit_radius_nm = HIT_RADIUS_ANGSTROM / ANGSTROM_PER_NM;
    Ok(ScoreSummary { table, hit_radius_nm, pixel_size_nm: pixel.filter(|_| in_pixels), notes })
}

/// The place of a row; a table has been found to have what is needed.
fn place_angstrom(row: &PlaceRow, pixel_size_nm: Option<f64>) -> DVec2 {
    let nm = match (pixel_size_nm, row.px, row.nm) {
        (Some(pixel), Some(px), _) => px * pixel,
        (_, _, Some(nm)) => nm,
        _ => DVec2::NAN,
    };
    nm * ANGSTROM_PER_NM
}

/// One table of them all. Several are told apart by their names, unless they name files themselves.
fn read_truth(paths: &[PathBuf]) -> Result<PlaceTable, WorkflowError> {
    let mut all: Option<PlaceTable> = None;
    for path in paths {
        let mut table = PlaceTable::read(path)?;
        if paths.len() > 1 && !table.has_file {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            table.rows.iter_mut().for_each(|row| row.file.clone_from(&name));
            table.files.insert(name);
            table.has_file = true;
        }
        match &mut all {
            Some(all) => all.append(table)?,
            None => all = Some(table),
        }
    }
    all.ok_or_else(|| WorkflowError::Setting {
        what: "the truth",
        found: "no table".to_owned(),
        expected: "one table or several".to_owned(),
    })
}

/// A note if a table's own pixels are not as large as the user says.
fn other_pixel_size(table: &PlaceTable, stated_nm: f64) -> Option<String> {
    /// Tables round their places; a calibration that differs by less is none of another kind.
    const ALIKE: f64 = 0.005;
    let (low, high) = table.pixel_size_range_nm()?;
    let differs = |own: f64| (own / stated_nm - 1.0).abs() > ALIKE;
    (differs(low) || differs(high)).then(|| {
        let (low, high, stated) = (rounded(low), rounded(high), rounded(stated_nm));
        let own = if low == high { low.to_string() } else { format!("{low} to {high}") };
        format!(
            "{} was written with pixels of {own} nm, stated are {stated} nm: places are taken in pixels",
            table.path.display()
        )
    })
}

/// Rows of both tables by file and frame, files by the name that the detected columns have for them.
struct Matched<'a>(BTreeMap<(String, Option<u64>), [Vec<&'a PlaceRow>; 2]>);

impl<'a> Matched<'a> {
    fn new(columns: &'a PlaceTable, truth: &'a PlaceTable) -> Result<Matched<'a>, WorkflowError> {
        let names = FileNames::new(columns, truth)?;
        let mut by_file: BTreeMap<String, [Vec<&PlaceRow>; 2]> = BTreeMap::new();
        for name in names.shown.values() {
            by_file.insert(name.clone(), Default::default());
        }
        for (side, table) in [columns, truth].into_iter().enumerate() {
            for row in &table.rows {
                by_file.entry(names.of(row).to_owned()).or_default()[side].push(row);
            }
        }
        let mut matched: BTreeMap<(String, Option<u64>), [Vec<&PlaceRow>; 2]> = BTreeMap::new();
        for (file, sides) in by_file {
            // A table without frames means the only one that the other has.
            let frames = |side: usize| sides[side].iter().filter_map(|row| row.frame).collect::<BTreeSet<u64>>();
            let (found, there) = (frames(0), frames(1));
            let only = match (columns.has_frame, truth.has_frame) {
                (true, true) => None,
                (true, false) => found.first().copied(),
                (false, _) => there.first().copied(),
            };
            for (one, other, count) in [(columns, truth, there.len()), (truth, columns, found.len())] {
                if !one.has_frame && !one.rows.is_empty() && count > 1 {
                    let reason = format!(
                        "{} has columns in {count} frames of {file}, {} does not say in which frame its columns are: \
                         expected a column `frame` in both",
                        other.path.display(),
                        one.path.display()
                    );
                    return Err(WorkflowError::Unscorable { reason });
                }
            }
            if sides.iter().all(Vec::is_empty) {
                matched.insert((file.clone(), None), Default::default());
            }
            for (side, rows) in sides.into_iter().enumerate() {
                for row in rows {
                    matched.entry((file.clone(), row.frame.or(only))).or_default()[side].push(row);
                }
            }
        }
        Ok(Matched(matched))
    }
}

/// How rows' files are called in the result.
struct FileNames {
    /// From what is compared of a name to the name that is shown.
    shown: BTreeMap<String, String>,
    key: fn(&str) -> &str,
    /// Where a table names no files there is one for all.
    one_for_all: Option<String>,
}

impl FileNames {
    fn new(columns: &PlaceTable, truth: &PlaceTable) -> Result<FileNames, WorkflowError> {
        let list = |names: &mut dyn Iterator<Item = &String>| {
            let names: Vec<&String> = names.collect();
            let more = if names.len() > 4 { ", ..." } else { "" };
            names.iter().take(4).map(|name| name.as_str()).collect::<Vec<_>>().join(", ") + more
        };
        let unscorable = |reason: String| Err(WorkflowError::Unscorable { reason });
        if !columns.has_file || !truth.has_file {
            let (one, other) = if columns.has_file { (truth, columns) } else { (columns, truth) };
            if other.files.len() > 1 {
                return unscorable(format!(
                    "{} has columns of {} files ({}), {} does not say of which file its columns are: expected a column \
                     `file`{}",
                    other.path.display(),
                    other.files.len(),
                    list(&mut other.files.iter()),
                    one.path.display(),
                    if columns.has_file { ", or a table of truth for each file under its name" } else { "" }
                ));
            }
            let own = |table: &PlaceTable| file_name(&table.path).to_owned();
            let name = other.files.first().cloned().unwrap_or_else(|| own(truth));
            let shown = BTreeMap::from([(name.clone(), name.clone())]);
            return Ok(FileNames { shown, key: whole, one_for_all: Some(name) });
        }
        // As little of the names as tells the files of each table apart.
        let tells_apart = |key: fn(&str) -> &str| {
            [columns, truth].iter().all(|table| {
                let keys: BTreeSet<&str> = table.files.iter().map(|file| key(file)).collect();
                keys.len() == table.files.len()
            })
        };
        let keys: [fn(&str) -> &str; 3] = [stem, base, whole];
        let key = keys.into_iter().find(|key| tells_apart(*key)).unwrap_or(whole);
        let of = |table: &PlaceTable| table.files.iter().map(|file| key(file).to_owned()).collect::<BTreeSet<_>>();
        let (found, there) = (of(columns), of(truth));
        let unknown: Vec<&String> = columns.files.iter().filter(|file| !there.contains(key(file))).collect();
        if !unknown.is_empty() {
            let of_all = if found.is_disjoint(&there) { "of no file" } else { "not of every file" };
            return unscorable(format!(
                "{} has the truth {of_all} in {}: found {}, expected {} too; give the truth of each, a header alone if \
                 there is no column in it, or leave the file out",
                truth.path.display(),
                columns.path.display(),
                list(&mut truth.files.iter()),
                list(&mut unknown.into_iter()),
            ));
        }
        let mut shown: BTreeMap<String, String> = BTreeMap::new();
        for file in truth.files.iter().chain(&columns.files) {
            shown.insert(key(file).to_owned(), file.clone());
        }
        Ok(FileNames { shown, key, one_for_all: None })
    }

    fn of<'n>(&'n self, row: &'n PlaceRow) -> &'n str {
        if let Some(name) = &self.one_for_all {
            return name;
        }
        self.shown.get((self.key)(&row.file)).map_or(&row.file, String::as_str)
    }
}

fn whole(name: &str) -> &str {
    name
}

/// A name without its folder; `\` divides folders on some systems.
fn base(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// A name without folder and ending.
fn stem(name: &str) -> &str {
    let base = base(name);
    let base = base.strip_suffix(".gz").unwrap_or(base);
    match base.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => base,
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
