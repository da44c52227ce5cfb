//! The pictures of docs/gallery.md: images of the recipes that come with the program, beside their structures.
//!
//! Every picture comes from a recipe as it is, a fixed seed and fixed numbers of samples, and so is the same each
//! time. What a caption says is read from the sample.

use std::fs;
use std::path::{Path, PathBuf};

use atomlens_core::{Grid, Micrograph};
use atomlens_dataset::{Sample, Simulator};
use atomlens_report::{ContactSheet, Field, Panel, spread};
use atomlens_workflow::recipes::RecipeSource;
use ndarray::s;

use crate::palette;

/// The seed of all pictures.
const SEED: u64 = 7;
/// Width of a panel, in pixels.
const PANEL_PX: u32 = 300;
/// What all pictures together may take of the repository.
const LARGEST_TOTAL_BYTES: u64 = 5_000_000;

type Picture = fn() -> Result<ContactSheet, String>;

/// Makes all pictures, and gives their sizes in bytes.
pub(crate) fn make(root: &Path) -> Result<Vec<(PathBuf, u64)>, String> {
    let folder = root.join("docs").join("gallery");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let pictures: [(&str, Picture); 6] = [
        ("readme.png", readme),
        ("gold.png", gold),
        ("platinum-on-ceria.png", platinum_on_ceria),
        ("mos2-focal-series.png", mos2_focal_series),
        ("graphene.png", graphene),
        ("gold-movie.png", gold_movie),
    ];
    let mut made = Vec::new();
    for (name, picture) in pictures {
        let path = folder.join(name);
        let encoded = palette::encode(&picture()?.render().map_err(|error| error.to_string())?)?;
        fs::write(&path, &encoded).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        made.push((path, encoded.len() as u64));
    }
    let total: u64 = made.iter().map(|(_, size)| size).sum();
    if total > LARGEST_TOTAL_BYTES {
        return Err(format!("the pictures take {total} bytes, more than {LARGEST_TOTAL_BYTES}: make panels smaller"));
    }
    Ok(made)
}

/// A sample of a recipe that comes with the program.
fn sample(recipe: &str, index: u64) -> Result<Sample, String> {
    let source = RecipeSource::find(recipe).map_err(|error| error.to_string())?;
    let parsed = source.parse().map_err(|error| error.to_string())?;
    let (resources, _) = source.resources(&parsed).map_err(|error| error.to_string())?;
    let simulator = Simulator::new(parsed, resources, SEED).map_err(|error| error.to_string())?;
    simulator.sample(index).map_err(|error| format!("{recipe}, sample {index}: {error}"))
}

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy)]
struct Window {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Which part of an image is shown.
type Show = fn(&Grid) -> Window;

impl Window {
    fn whole(grid: &Grid) -> Window {
        Window { x: 0, y: 0, width: grid.nx, height: grid.ny }
    }

    /// A part of an image that is `1 / times` of it in each direction; (0, 0) begins at the upper left corner and
    /// each further step lies half its own size to the right or below.
    fn part(grid: &Grid, times: usize, (right, down): (usize, usize)) -> Window {
        let (width, height) = (grid.nx / times, grid.ny / times);
        Window { x: right * width / 2, y: down * height / 2, width, height }
    }

    fn image(&self, micrograph: &Micrograph, frame: usize, focus: usize) -> Panel {
        let part = micrograph.counts.slice(s![frame, focus, self.y..self.y + self.height, self.x..self.x + self.width]);
        let grid = Grid { nx: self.width, ny: self.height, ..micrograph.grid };
        Panel::on_grid(part, &grid)
    }

    fn structure(&self, sample: &Sample) -> Panel {
        let grid = &sample.drawn.grid;
        let low = |origin: f64, start: usize, pixel: f64| origin + (start as f64 - 0.5) * pixel;
        let x = low(sample.drawn.origin_angstrom[0], self.x, grid.pixel_x_angstrom);
        let y = low(sample.drawn.origin_angstrom[1], self.y, grid.pixel_y_angstrom);
        let (width, height) = (self.width as f64 * grid.pixel_x_angstrom, self.height as f64 * grid.pixel_y_angstrom);
        Panel::structure(&sample.structure, Field::new(x, x + width, y, y + height))
    }

    /// Places of the image in the coordinates of its part; those outside are left out.
    fn places(&self, grid: &Grid, places: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
        let (x_low, y_low) = (self.x as f64 * grid.pixel_x_angstrom, self.y as f64 * grid.pixel_y_angstrom);
        let (width, height) = (self.width as f64 * grid.pixel_x_angstrom, self.height as f64 * grid.pixel_y_angstrom);
        places
            .into_iter()
            .map(|(x, y)| (x - x_low, y - y_low))
            .filter(|(x, y)| (0.0..width).contains(x) && (0.0..height).contains(y))
            .collect()
    }
}

/// What was drawn for one image of a series, in short.
fn optics(sample: &Sample, focus: usize) -> String {
    let drawn = &sample.drawn;
    format!(
        "defocus {:.1} nm, Cs {:.1} µm, {:.0} e/Å²",
        0.1 * drawn.defocus_angstrom[focus],
        1e-4 * drawn.cs_angstrom,
        drawn.dose_e_per_a2
    )
}

fn atoms(sample: &Sample) -> String {
    format!("{} atoms, {} columns in the image", sample.drawn.atoms, sample.columns.len())
}

/// Images above, structures below.
fn beside(recipe: &str, shown: &[(u64, Show)]) -> Result<ContactSheet, String> {
    let mut sheet = ContactSheet::new(title(recipe)).columns(shown.len()).panel_width_px(PANEL_PX);
    let mut structures = Vec::new();
    for &(index, show) in shown {
        let sample = sample(recipe, index)?;
        let window = show(&sample.drawn.grid);
        let caption = format!("{index}: {}", optics(&sample, 0));
        sheet = sheet.push(window.image(&sample.micrograph, 0, 0).caption(caption));
        structures.push(window.structure(&sample).caption(atoms(&sample)));
    }
    Ok(structures.into_iter().fold(sheet, ContactSheet::push))
}

fn title(recipe: &str) -> String {
    format!("{recipe}, seed {SEED}")
}

/// The micrographs that stand for the program, and what they show.
fn readme() -> Result<ContactSheet, String> {
    let shown: [(&str, u64, &str, Show); 4] = [
        ("gold", 10, "a twinned gold particle", Window::whole),
        ("platinum-on-ceria", 9, "platinum on ceria", Window::whole),
        ("mos2-focal-series", 4, "MoS\u{2082} on graphene", |grid| Window::part(grid, 2, (1, 1))),
        ("graphene", 4, "graphene with defects", |grid| Window::part(grid, 2, (1, 1))),
    ];
    let mut sheet = ContactSheet::new("").columns(shown.len()).panel_width_px(PANEL_PX);
    let mut structures = Vec::new();
    for (recipe, index, name, show) in shown {
        let sample = sample(recipe, index)?;
        let window = show(&sample.drawn.grid);
        // The last focus value of a series: past focus, where atoms are bright.
        let focus = sample.drawn.defocus_angstrom.len() - 1;
        let caption = format!("{name}, {:.0} kV", sample.drawn.energy_kev);
        sheet = sheet.push(window.image(&sample.micrograph, 0, focus).caption(caption));
        structures.push(window.structure(&sample));
    }
    Ok(structures.into_iter().fold(sheet, ContactSheet::push))
}

fn gold() -> Result<ContactSheet, String> {
    beside("gold", &[(4, Window::whole), (10, Window::whole), (2, Window::whole), (11, Window::whole)])
}

fn platinum_on_ceria() -> Result<ContactSheet, String> {
    beside("platinum-on-ceria", &[(9, Window::whole), (6, Window::whole), (4, Window::whole), (8, Window::whole)])
}

fn graphene() -> Result<ContactSheet, String> {
    let middle: Show = |grid| Window::part(grid, 2, (1, 1));
    beside("graphene", &[(4, middle), (5, middle), (6, Window::whole), (10, Window::whole)])
}

/// One specimen at its three values of focus: the whole field, and the middle enlarged with the sulphur pairs marked that
/// miss an atom.
fn mos2_focal_series() -> Result<ContactSheet, String> {
    let sample = sample("mos2-focal-series", 4)?;
    let grid = sample.drawn.grid;
    let mut sheet = ContactSheet::new(title("mos2-focal-series")).columns(4).panel_width_px(PANEL_PX);
    let whole = Window::whole(&grid);
    for focus in 0..sample.drawn.defocus_angstrom.len() {
        sheet = sheet.push(whole.image(&sample.micrograph, 0, focus).caption(optics(&sample, focus)));
    }
    sheet = sheet.push(whole.structure(&sample).caption(atoms(&sample)));
    let middle = Window::part(&grid, 2, (1, 1));
    let single = || {
        let columns = sample.columns.iter().filter(|column| column.species(true) == "S");
        middle.places(&grid, columns.map(|column| (column.x_angstrom, column.y_angstrom)))
    };
    for (focus, shift) in sample.drawn.series_shift_angstrom.iter().enumerate() {
        let places = single().into_iter().map(|(x, y)| (x + shift[0], y + shift[1]));
        sheet = sheet.push(
            middle
                .image(&sample.micrograph, 0, focus)
                .marks("one S", places)
                .caption(format!("middle, defocus {:.1} nm", 0.1 * sample.drawn.defocus_angstrom[focus])),
        );
    }
    let [x, y] = sample.drawn.origin_angstrom;
    let offset = (x + middle.x as f64 * grid.pixel_x_angstrom, y + middle.y as f64 * grid.pixel_y_angstrom);
    let places = single().into_iter().map(|(x, y)| (x + offset.0, y + offset.1));
    Ok(sheet.push(middle.structure(&sample).marks("one S", places).caption("middle")))
}

/// Frames of a movie, and the same frames with the sites marked whose filling changes.
fn gold_movie() -> Result<ContactSheet, String> {
    let sample = sample("gold-movie", 0)?;
    let movie = sample.movie.as_ref().ok_or("gold-movie has no frames")?;
    let grid = sample.drawn.grid;
    let whole = Window::whole(&grid);
    let frames = spread(movie.occupancy.len(), 4);
    let mut sheet = ContactSheet::new(title("gold-movie")).columns(frames.len()).panel_width_px(PANEL_PX);
    for &frame in &frames {
        let drift = movie.drift[frame];
        sheet = sheet.push(whole.image(&sample.micrograph, frame, 0).caption(format!(
            "{:.1} s, drift ({:.1}, {:.1}) Å, {:.0} e/Å²",
            frame as f64 * movie.frame_time_s,
            drift.x_angstrom,
            drift.y_angstrom,
            sample.drawn.dose_e_per_a2
        )));
    }
    let changing = |site: usize| movie.occupancy.iter().any(|filled| filled[site] != movie.occupancy[0][site]);
    for &frame in &frames {
        let places = |wanted: bool| {
            let chosen =
                (0..movie.sites.len()).filter(|site| changing(*site) && movie.occupancy[frame][*site] == wanted);
            let moved = chosen.map(|site| movie.site_place_angstrom(frame, site).into());
            whole.places(&grid, moved)
        };
        sheet = sheet.push(
            whole
                .image(&sample.micrograph, frame, 0)
                .marks("filled", places(true))
                .marks("empty", places(false))
                .caption(format!("frame {frame}: sites that change")),
        );
    }
    Ok(sheet)
}
