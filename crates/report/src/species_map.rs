//! Maps of the species of a crystal's columns: the image, a disc in its species' colour on every column, and marks on
//! what is not as it should be.
//!
//! Discs of metals are larger than those of pairs of atoms, and these larger than those of single ones, so that colour
//! does not tell them apart alone. A disc is fainter where its species is less sure. Sites that are not as they should
//! be are marked by outlines of one shape a kind; edges and grain boundaries are lines; rings of other than six members
//! are filled.

use std::collections::BTreeMap;
use std::path::Path;

use atomlens_core::DetectedColumn;
use ndarray::{ArrayView2, s};

use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::{BLACK, Colour, INK, WHITE, from_hex};
use crate::defects::{Defects, Edge, EdgeDirection, SiteKind};
use crate::drawing::{Drawing, Layer, Shape};
use crate::html::median;
use crate::marks::{self, Entry, EntryList};
use crate::neighbours::nearest_distances;
use crate::overlay::{LARGEST_SIDE_PX, Shown, species_name};
use crate::panel::check_size;
use crate::species_style::{is_chalcogen, species_colour};
use crate::text::{Paragraph, line_spacing, width};
use crate::{ReportError, scale_bar};

/// Probabilities of a species above which a disc is opaque, and above which it is not yet faint.
pub(crate) const SURE: [f64; 2] = [0.9, 0.6];
/// Opacity of discs that are sure, less sure and unsure.
pub(crate) const OPACITY: [f32; 3] = [0.95, 0.6, 0.28];

/// Rings of five members and fewer.
const SMALL_RING: Colour = from_hex(0x2f7bff);
/// Rings of seven members and more.
const LARGE_RING: Colour = from_hex(0xff6a1a);
/// Rings of six members, which are shown where they are strained or not flat.
const OTHER_RING: Colour = from_hex(0xbdbdbd);
const METAL_EDGE: Colour = from_hex(0x43c8ff);
const CHALCOGEN_EDGE: Colour = from_hex(0xffa63d);
const OTHER_EDGE: Colour = from_hex(0xf2f2f2);
const BOUNDARY: Colour = from_hex(0xff4f4f);

/// A part of an image, in angstrom from the centre of its first pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Left end.
    pub x_angstrom: f64,
    /// Upper end.
    pub y_angstrom: f64,
    /// Width.
    pub width_angstrom: f64,
    /// Height.
    pub height_angstrom: f64,
}

/// The columns of a crystal by species on an image of it.
///
/// ```
/// use atomlens_core::DetectedColumn;
/// use atomlens_report::SpeciesMap;
/// let image = ndarray::Array2::from_shape_fn((64, 64), |(y, x)| ((x * y) % 17) as f32);
/// let column = |x, species| DetectedColumn {
///     x_angstrom: x, y_angstrom: 3.0, position_sigma_angstrom: 0.05, probability: 0.99,
///     species, species_probability: 0.97, atoms: 1.0, atoms_sigma: 0.1,
/// };
/// let (columns, species) = ([column(2.0, 0), column(3.8, 1)], ["Mo".to_owned(), "S2".to_owned()]);
/// let map = SpeciesMap::new(image.view(), 0.1, &columns, &species);
/// assert!(map.drawing()?.to_svg("species").contains("Mo (1)"));
/// # Ok::<(), atomlens_report::ReportError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpeciesMap<'a> {
    image: ArrayView2<'a, f32>,
    pixel_angstrom: f64,
    columns: &'a [DetectedColumn],
    species: &'a [String],
    defects: Option<&'a Defects>,
    window: Option<Window>,
    caption: String,
    legend: bool,
}

impl<'a> SpeciesMap<'a> {
    /// A map of columns on an image `[y, x]` with square pixels of `pixel_angstrom`, such as the sharpest image of a
    /// series, their mean, or a phase. `species` are the names that the columns count by.
    pub fn new(
        image: ArrayView2<'a, f32>,
        pixel_angstrom: f64,
        columns: &'a [DetectedColumn],
        species: &'a [String],
    ) -> SpeciesMap<'a> {
        SpeciesMap {
            image,
            pixel_angstrom,
            columns,
            species,
            defects: None,
            window: None,
            caption: String::new(),
            legend: true,
        }
    }

    /// What is not as it should be.
    pub fn defects(mut self, defects: &'a Defects) -> SpeciesMap<'a> {
        self.defects = Some(defects);
        self
    }

    /// Shows a part of the image alone, on whole pixels. The legend counts what is in it.
    pub fn window(mut self, window: Window) -> SpeciesMap<'a> {
        self.window = Some(window);
        self
    }

    /// Leaves out the list of what the marks stand for, for a picture beside another that has it.
    pub fn without_legend(mut self) -> SpeciesMap<'a> {
        self.legend = false;
        self
    }

    /// What is written below the picture; long captions are wrapped.
    pub fn caption(mut self, caption: impl Into<String>) -> SpeciesMap<'a> {
        self.caption = caption.into();
        self
    }

    /// The square of a given side, in angstrom, in which most defects are; the middle of the columns without any. The
    /// side is no longer than the image.
    pub fn busiest_window(&self, side_angstrom: f64) -> Window {
        let (ny, nx) = self.image.dim();
        let [width, height] = [nx, ny].map(|n| n as f64 * self.pixel_angstrom);
        let side = side_angstrom.min(width).min(height);
        let places: Vec<[f64; 2]> = match self.defects {
            Some(defects) if !(defects.sites.is_empty() && defects.rings.is_empty()) => {
                let sites = defects.sites.iter().map(|site| [site.x_angstrom, site.y_angstrom]);
                sites.chain(defects.rings.iter().filter_map(|ring| middle(&ring.corners_angstrom))).collect()
            }
            _ => middle(&self.columns.iter().map(|c| [c.x_angstrom, c.y_angstrom]).collect::<Vec<_>>())
                .into_iter()
                .collect(),
        };
        let low = -0.5 * self.pixel_angstrom;
        let corner = |place: f64, length: f64| (place - 0.5 * side).clamp(low, (low + length - side).max(low));
        let window = |at: &[f64; 2]| Window {
            x_angstrom: corner(at[0], width),
            y_angstrom: corner(at[1], height),
            width_angstrom: side,
            height_angstrom: side,
        };
        let inside = |w: &Window| places.iter().filter(|at| w.contains(at[0], at[1])).count();
        let candidates = places.iter().filter(|at| at.iter().all(|c| c.is_finite())).map(window);
        // The first of the best ones.
        let best = candidates.fold(None, |best: Option<(usize, Window)>, candidate| {
            let count = inside(&candidate);
            if best.is_some_and(|(most, _)| most >= count) { best } else { Some((count, candidate)) }
        });
        best.map_or_else(|| window(&[0.5 * width, 0.5 * height]), |(_, window)| window)
    }

    /// Writes the picture as a PNG file.
    pub fn write_png(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_png(path)
    }

    /// Writes the picture as an SVG file.
    pub fn write_svg(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        self.drawing()?.write_svg(path, &self.description())
    }

    /// What the map shows, in words.
    pub fn description(&self) -> String {
        let counts: Vec<String> = self.species_counts(|_| true).into_iter().map(|(_, label, _)| label).collect();
        let what = format!("{} columns by species: {}", self.columns.len(), counts.join(", "));
        if self.caption.is_empty() { what } else { format!("{}. {what}", self.caption) }
    }

    /// The picture as shapes.
    pub fn drawing(&self) -> Result<Drawing, ReportError> {
        let part = self.part();
        let cut = self.image.slice(s![part[1].clone(), part[0].clone()]);
        let shown = Shown::within(cut, self.pixel_angstrom, LARGEST_SIDE_PX)?;
        let view = View {
            picture: Rectangle::new(0.0, 0.0, shown.width_px as f32, shown.height_px as f32),
            low_angstrom: [0, 1].map(|axis| (part[axis].start as f64 - 0.5) * self.pixel_angstrom),
            pixel_angstrom: shown.pixel_angstrom,
            spacing_px: (self.spacing_angstrom() / shown.pixel_angstrom) as f32,
        };
        let picture = view.picture;
        let size = (0.5 * (picture.width + picture.height) / 44.0).clamp(16.0, 40.0).round();
        let corner = Point::new(picture.width + 0.8 * size, 0.25 * size);
        let entries = if self.legend { self.entries(&view) } else { Vec::new() };
        let legend = EntryList::new(&entries, corner, size);

        let right = if entries.is_empty() { picture.width } else { legend.right };
        let (width_px, content) = (right.ceil(), picture.height.max(legend.bottom));
        let caption = Paragraph::fit(&self.caption, size, width_px - size);
        let gap = if caption.lines.is_empty() { 0.0 } else { 0.5 * size };
        let height = content + caption.height_px() as f32 + 2.0 * gap;
        let (width_px, height_px) = (width_px as u32, height.ceil() as u32);
        check_size(width_px, height_px)?;
        let words = caption.lines.iter().enumerate().map(|(index, line)| {
            let at = Point::new(0.5 * size, content + gap + index as f32 * line_spacing(caption.size_px));
            Shape::text(line, caption.size_px, INK, (Horizontal::Left, Vertical::Top), at)
        });
        let image = Shape::Picture { pixels: shown.pixels, area: picture };
        let clipped = |name, shapes| Layer { name, clip: Some(picture), shapes };
        let layers = vec![
            Layer::new("image", vec![image]),
            clipped("rings", self.defects.map_or(Vec::new(), |defects| rings(defects, &view))),
            clipped("edges", self.defects.map_or(Vec::new(), |defects| lines(defects, &view))),
            clipped("columns", self.discs(&view)),
            clipped("defects", self.defects.map_or(Vec::new(), |defects| sites(defects, &view))),
            clipped("angles", self.defects.map_or(Vec::new(), |defects| angles(defects, &view, 0.9 * size))),
            Layer::new("scale", scale_bar::shapes(picture, shown.pixel_angstrom, size, false).to_vec()),
            Layer::new("legend", legend.shapes),
            Layer::new("caption", words.collect()),
        ];
        Ok(Drawing { width_px, height_px, layers })
    }

    /// Columns and rows of the image that are shown.
    fn part(&self) -> [std::ops::Range<usize>; 2] {
        let (ny, nx) = self.image.dim();
        let Some(window) = self.window else { return [0..nx, 0..ny] };
        let range = |low: f64, length: f64, count: usize| {
            let at = |place: f64| (place / self.pixel_angstrom + 0.5).clamp(0.0, count as f64);
            let first = (at(low).floor() as usize).min(count.saturating_sub(1));
            first..(at(low + length).ceil() as usize).clamp((first + 1).min(count), count)
        };
        [range(window.x_angstrom, window.width_angstrom, nx), range(window.y_angstrom, window.height_angstrom, ny)]
    }

    /// The usual distance to the nearest column; a fortieth of the image where there are none.
    pub(crate) fn spacing_angstrom(&self) -> f64 {
        let places: Vec<[f64; 2]> = self.columns.iter().map(|c| [c.x_angstrom, c.y_angstrom]).collect();
        let distances: Vec<f64> = nearest_distances(&places).into_iter().flatten().filter(|d| *d > 0.0).collect();
        let (ny, nx) = self.image.dim();
        let length = nx.max(ny) as f64 * self.pixel_angstrom;
        median(&distances).map_or(length / 40.0, |distance| distance.clamp(length / 1000.0, length / 4.0))
    }

    /// Index, label and number of the columns of every species that some column counted here has.
    fn species_counts(&self, counted: impl Fn(&DetectedColumn) -> bool) -> Vec<(usize, String, usize)> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for column in self.columns.iter().filter(|column| counted(column)) {
            *counts.entry(column.species).or_default() += 1;
        }
        let label = |index, count| format!("{} ({count})", species_name(self.species, index));
        counts.into_iter().map(|(index, count)| (index, label(index, count), count)).collect()
    }

    /// The discs, the faint ones first.
    fn discs(&self, view: &View) -> Vec<Shape> {
        let mut groups: BTreeMap<(std::cmp::Reverse<usize>, usize), Vec<Point>> = BTreeMap::new();
        for column in self.columns {
            if let Some(at) = view.visible(column.x_angstrom, column.y_angstrom) {
                groups.entry((std::cmp::Reverse(sureness(column)), column.species)).or_default().push(at);
            }
        }
        let shapes = groups.into_iter().flat_map(|((level, species), centres)| {
            let (name, colour) = (species_name(self.species, species), species_colour(self.species, species));
            disc(centres, disc_radius(&name, view.spacing_px, 1.6), colour, OPACITY[level.0])
        });
        shapes.collect()
    }

    fn entries(&self, view: &View) -> Vec<Entry<'_>> {
        let shown = |column: &DetectedColumn| view.visible(column.x_angstrom, column.y_angstrom).is_some();
        let counts = self.species_counts(shown);
        let mut entries: Vec<Entry<'_>> = counts
            .into_iter()
            .map(|(index, label, _)| {
                let (name, colour) = (species_name(self.species, index), species_colour(self.species, index));
                Entry::new(label, move |at, size| {
                    disc(vec![at], disc_radius(&name, 1.35 * size, 1.6), colour, OPACITY[0])
                })
            })
            .collect();
        for (level, (high, opacity)) in (1..).zip(SURE.into_iter().zip(OPACITY.into_iter().skip(1))) {
            let count = self.columns.iter().filter(|column| shown(column) && sureness(column) == level).count();
            if count > 0 {
                let symbol = move |at, size: f32| disc(vec![at], 0.36 * size, from_hex(0x808080), opacity);
                entries.push(Entry::new(format!("species below {high} sure ({count})"), symbol));
            }
        }
        if let Some(defects) = self.defects {
            entries.extend(defect_entries(defects, view));
        }
        entries
    }
}

impl Window {
    /// Whether a place lies inside.
    pub fn contains(&self, x_angstrom: f64, y_angstrom: f64) -> bool {
        (self.x_angstrom..self.x_angstrom + self.width_angstrom).contains(&x_angstrom)
            && (self.y_angstrom..self.y_angstrom + self.height_angstrom).contains(&y_angstrom)
    }
}

/// How sure a column's species is: 0 for sure to 2 for unsure.
pub(crate) fn sureness(column: &DetectedColumn) -> usize {
    let probability = column.probability * column.species_probability;
    // What is not a number is not sure.
    let probability = if probability.is_nan() { 0.0 } else { probability };
    SURE.iter().filter(|least| probability < **least).count()
}

/// Radius of the disc of a species, at least `least`: larger for metals than for pairs of atoms, and than for single
/// atoms.
pub(crate) fn disc_radius(species: &str, spacing: f32, least: f32) -> f32 {
    let share = match species {
        name if !is_chalcogen(name) => 0.34,
        name if name.chars().filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).count() > 1 => 0.28,
        _ => 0.23,
    };
    (share * spacing).max(least)
}

fn disc(centres: Vec<Point>, radius: f32, colour: Colour, opacity: f32) -> Vec<Shape> {
    let mut shapes = marks::under_discs(&centres, radius, opacity);
    shapes.push(Shape::Discs { centres, radius, colour, opacity });
    shapes
}

/// Where things are in the picture.
struct View {
    picture: Rectangle,
    low_angstrom: [f64; 2],
    pixel_angstrom: f64,
    spacing_px: f32,
}

impl View {
    fn place(&self, [x, y]: [f64; 2]) -> Point {
        let along = |value: f64, axis: usize| ((value - self.low_angstrom[axis]) / self.pixel_angstrom) as f32;
        Point::new(along(x, 0), along(y, 1))
    }

    /// The place, if it is in the picture.
    fn visible(&self, x: f64, y: f64) -> Option<Point> {
        Some(self.place([x, y])).filter(|at| self.picture.contains(*at))
    }

    fn path(&self, points: &[[f64; 2]]) -> Vec<Point> {
        points.iter().filter(|p| p.iter().all(|c| c.is_finite())).map(|p| self.place(*p)).collect()
    }

    fn sees(&self, points: &[[f64; 2]]) -> bool {
        points.iter().any(|p| self.visible(p[0], p[1]).is_some())
    }

    fn line_px(&self) -> f32 {
        (0.14 * self.spacing_px).clamp(2.5, 9.0)
    }
}

/// The mean of some places.
fn middle(places: &[[f64; 2]]) -> Option<[f64; 2]> {
    let finite: Vec<&[f64; 2]> = places.iter().filter(|p| p.iter().all(|c| c.is_finite())).collect();
    let mean = |axis: usize| finite.iter().map(|p| p[axis]).sum::<f64>() / finite.len() as f64;
    (!finite.is_empty()).then(|| [mean(0), mean(1)])
}

/// The colour of rings of so many members.
pub(crate) fn ring_colour(members: usize) -> Colour {
    match members {
        0..=5 => SMALL_RING,
        6 => OTHER_RING,
        _ => LARGE_RING,
    }
}

/// The colour of an edge by the species that it ends with.
pub(crate) fn edge_colour(termination: &str) -> Colour {
    match termination {
        "" => OTHER_EDGE,
        name if is_chalcogen(name) || name == "chalcogen" => CHALCOGEN_EDGE,
        _ => METAL_EDGE,
    }
}

fn rings(defects: &Defects, view: &View) -> Vec<Shape> {
    let shapes = defects.rings.iter().filter(|ring| view.sees(&ring.corners_angstrom)).flat_map(|ring| {
        let mut points = view.path(&ring.corners_angstrom);
        let colour = ring_colour(ring.corners_angstrom.len());
        let area = Shape::Area { points: points.clone(), colour, opacity: 0.45 };
        points.extend(points.first().copied());
        [area, Shape::line(points, 0.5 * view.line_px(), colour)]
    });
    shapes.collect()
}

fn edge_line(edge: &Edge, points: Vec<Point>, thickness: f32) -> Vec<Shape> {
    let dashed = edge.direction == EdgeDirection::Armchair;
    marks::line(points, thickness, edge_colour(&edge.termination), dashed)
}

/// The colour of grain boundaries.
pub(crate) fn boundary_colour() -> Colour {
    BOUNDARY
}

fn boundary_line(points: Vec<Point>, thickness: f32) -> Vec<Shape> {
    marks::line(points, thickness, BOUNDARY, false)
}

fn lines(defects: &Defects, view: &View) -> Vec<Shape> {
    let edges = defects.edges.iter().flat_map(|e| edge_line(e, view.path(&e.points_angstrom), view.line_px()));
    let boundaries =
        defects.boundaries.iter().flat_map(|b| boundary_line(view.path(&b.points_angstrom), 1.3 * view.line_px()));
    edges.chain(boundaries).collect()
}

/// The mark of a site: an outline around its column, one shape a kind.
fn site_mark(kind: SiteKind, at: Point, radius: f32, opacity: f32) -> Vec<Shape> {
    let polygon = |corners: usize, turn: f32, radius: f32| -> Vec<Point> {
        let corner = |index: usize| {
            let angle = (turn + index as f32 / corners as f32) * std::f32::consts::TAU;
            Point::new(at.x + radius * angle.cos(), at.y + radius * angle.sin())
        };
        (0..=corners).map(corner).collect()
    };
    let thickness = (0.2 * radius).clamp(1.6, 5.0);
    // Letters and lines have no opacity of their own; what is unsure is greyer.
    let colour = crate::colour::mix(from_hex(0x9a9a9a), site_colour(kind), opacity);
    let outline = |points: Vec<Point>| marks::line(points, thickness, colour, false);
    let ring = |radius: f32| {
        let edge = thickness + (0.5 * thickness).clamp(1.5, 4.0);
        let of = |thickness, colour| Shape::Rings { centres: vec![at], radius, thickness, colour, opacity: 1.0 };
        vec![of(edge, BLACK), of(thickness, colour)]
    };
    match kind {
        SiteKind::PartialVacancy => ring(radius),
        SiteKind::EmptySite => ring(0.75 * radius),
        SiteKind::MetalVacancy => outline(polygon(4, 0.125, 1.25 * radius)),
        SiteKind::Substitution => outline(polygon(4, 0.0, 1.3 * radius)),
        SiteKind::Antisite => outline(polygon(3, -0.25, 1.35 * radius)),
        SiteKind::Other => outline(polygon(6, 0.0, 1.1 * radius)),
    }
}

/// The colour of a kind's mark.
pub(crate) fn site_colour(kind: SiteKind) -> Colour {
    match kind {
        SiteKind::PartialVacancy => WHITE,
        SiteKind::EmptySite | SiteKind::MetalVacancy => from_hex(0xff5252),
        SiteKind::Substitution => from_hex(0x7dff6b),
        SiteKind::Antisite => from_hex(0xffd24d),
        SiteKind::Other => from_hex(0xd0d0d0),
    }
}

/// Radius of the mark around a site, at least `least`.
pub(crate) fn site_radius(spacing: f32, least: f32) -> f32 {
    (0.46 * spacing).max(least)
}

fn sites(defects: &Defects, view: &View) -> Vec<Shape> {
    let radius = site_radius(view.spacing_px, 3.5);
    let shapes = defects.sites.iter().filter_map(|site| {
        let at = view.visible(site.x_angstrom, site.y_angstrom)?;
        let sure = if site.probability.is_finite() { site.probability as f32 } else { 1.0 };
        Some(site_mark(site.kind, at, radius, sure.clamp(0.3, 1.0)))
    });
    shapes.flatten().collect()
}

/// The angles of grain boundaries, each at the middle of the part of its line that is seen.
fn angles(defects: &Defects, view: &View, size: f32) -> Vec<Shape> {
    let shapes = defects.boundaries.iter().filter(|b| b.angle_deg.value.is_finite()).filter_map(|boundary| {
        let seen: Vec<Point> = boundary.points_angstrom.iter().filter_map(|p| view.visible(p[0], p[1])).collect();
        let at = *seen.get(seen.len() / 2)?;
        let label = angle_label(boundary.angle_deg.value);
        let (half, high) = (0.5 * width(&label, size) + 0.35 * size, 1.3 * size);
        let at = Point::new(
            at.x.clamp(half, (view.picture.width - half).max(half)),
            at.y.clamp(0.5 * high, (view.picture.height - 0.5 * high).max(0.5 * high)),
        );
        let plate = Rectangle::new(at.x - half, at.y - 0.5 * high, 2.0 * half, high);
        Some([
            Shape::Rectangle { area: plate, colour: BLACK, opacity: 0.7 },
            Shape::text(&label, size, WHITE, (Horizontal::Centre, Vertical::Middle), at),
        ])
    });
    shapes.flatten().collect()
}

fn angle_label(degrees: f64) -> String {
    format!("{degrees:.1}°")
}

/// What is seen of the defects, each kind once.
fn defect_entries<'a>(defects: &Defects, view: &View) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    let mut names: BTreeMap<(SiteKind, &str), usize> = BTreeMap::new();
    for site in defects.sites.iter().filter(|site| view.visible(site.x_angstrom, site.y_angstrom).is_some()) {
        *names.entry((site.kind, &site.name)).or_default() += 1;
    }
    for ((kind, name), count) in names {
        entries.push(Entry::new(format!("{name} ({count})"), move |at, size| site_mark(kind, at, 0.42 * size, 1.0)));
    }
    let mut members: BTreeMap<usize, usize> = BTreeMap::new();
    for ring in defects.rings.iter().filter(|ring| view.sees(&ring.corners_angstrom)) {
        *members.entry(ring.corners_angstrom.len()).or_default() += 1;
    }
    for (members, count) in members {
        let colour = ring_colour(members);
        let symbol = move |at: Point, size: f32| {
            let area = Rectangle::new(at.x - 0.45 * size, at.y - 0.35 * size, 0.9 * size, 0.7 * size);
            vec![Shape::Rectangle { area, colour, opacity: 0.6 }, Shape::Frame { area, thickness: 2.0, colour }]
        };
        entries.push(Entry::new(format!("ring of {members} ({count})"), symbol));
    }
    let stroke =
        |at: Point, size: f32| vec![Point::new(at.x - 0.45 * size, at.y), Point::new(at.x + 0.45 * size, at.y)];
    let mut kinds: BTreeMap<(EdgeDirection, &str), &Edge> = BTreeMap::new();
    for edge in defects.edges.iter().filter(|edge| view.sees(&edge.points_angstrom)) {
        kinds.entry((edge.direction, &edge.termination)).or_insert(edge);
    }
    for edge in kinds.into_values() {
        let like = Edge { points_angstrom: Vec::new(), ..edge.clone() };
        let label = format!("{} edge", edge.name());
        entries.push(Entry::new(label, move |at, size| edge_line(&like, stroke(at, size), 0.17 * size)));
    }
    if defects.boundaries.iter().any(|boundary| view.sees(&boundary.points_angstrom)) {
        let symbol = move |at, size| boundary_line(stroke(at, size), 0.2 * size);
        entries.push(Entry::new("grain boundary", symbol));
    }
    entries
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::defects::{GrainBoundary, RingDefect, SiteDefect};
    use crate::estimate::Estimate;

    fn column(x: f64, y: f64, species: usize, species_probability: f64) -> DetectedColumn {
        DetectedColumn {
            x_angstrom: x,
            y_angstrom: y,
            position_sigma_angstrom: 0.05,
            probability: 1.0,
            species,
            species_probability,
            atoms: 1.0,
            atoms_sigma: 0.1,
        }
    }

    fn names() -> Vec<String> {
        ["Mo", "S2", "S"].map(str::to_owned).to_vec()
    }

    /// Columns 2 A apart in rows, every third of each species.
    fn rows(count: usize) -> Vec<DetectedColumn> {
        let place = |i: usize| (1.0 + 2.0 * (i % 10) as f64, 1.0 + 2.0 * (i / 10) as f64);
        (0..count).map(|i| column(place(i).0, place(i).1, i % 3, [0.99, 0.8, 0.4][i % 3])).collect()
    }

    fn site(kind: SiteKind, x: f64, y: f64) -> SiteDefect {
        SiteDefect { kind, name: format!("{kind:?}"), x_angstrom: x, y_angstrom: y, ..SiteDefect::default() }
    }

    fn defects() -> Defects {
        let kinds = [
            SiteKind::PartialVacancy,
            SiteKind::EmptySite,
            SiteKind::MetalVacancy,
            SiteKind::Substitution,
            SiteKind::Antisite,
            SiteKind::Other,
        ];
        let angle_deg = Estimate::new(21.8, 21.0, 22.5);
        Defects {
            sites: kinds.into_iter().enumerate().map(|(i, kind)| site(kind, 1.0 + 2.0 * i as f64, 5.0)).collect(),
            rings: [5, 7]
                .map(|n| RingDefect { corners_angstrom: vec![[9.0, 9.0]; n], ..RingDefect::default() })
                .to_vec(),
            edges: vec![Edge { points_angstrom: vec![[1.0, 1.0], [15.0, 1.0]], ..Edge::default() }],
            boundaries: vec![GrainBoundary {
                points_angstrom: vec![[3.0, 2.0], [3.0, 18.0], [f64::NAN, 0.0]],
                angle_deg,
                note: String::new(),
            }],
        }
    }

    fn words(drawing: &Drawing) -> Vec<String> {
        let shapes = drawing.layers.iter().flat_map(|layer| &layer.shapes);
        shapes.filter_map(|s| if let Shape::Text { text, .. } = s { Some(text.clone()) } else { None }).collect()
    }

    #[test]
    fn everything_is_drawn_and_named_and_nothing_is_cut_off() {
        let (columns, names, defects) = (rows(100), names(), defects());
        for side in [40, 384, 3000] {
            let pixel = 20.0 / side as f64;
            let image = Array2::from_shape_fn((side, side), |(y, x)| ((x * 7 + y) % 31) as f32);
            let map = SpeciesMap::new(image.view(), pixel, &columns, &names).defects(&defects).caption("a series");
            let drawing = map.drawing().unwrap();
            let words = words(&drawing);
            for expected in [
                "Mo (34)",
                "S2 (33)",
                "S (33)",
                "species below 0.9 sure (33)",
                "species below 0.6 sure (33)",
                "EmptySite (1)",
                "ring of 5 (1)",
                "ring of 7 (1)",
                "mixed edge",
                "grain boundary",
                "21.8°",
                "a series",
            ] {
                assert!(words.iter().any(|word| word == expected), "{side}: {expected} is not among {words:?}");
            }
            for shape in drawing.layers.iter().flat_map(|layer| &layer.shapes) {
                if let Shape::Text { text, size_px, horizontal: Horizontal::Left, at, .. } = shape {
                    assert!(at.x + width(text, *size_px) <= drawing.width_px as f32, "{text}");
                    assert!(at.y <= drawing.height_px as f32, "{text}");
                }
            }
            assert!(roxmltree::Document::parse(&drawing.to_svg(&map.description())).is_ok());
        }
    }

    #[test]
    fn a_disc_lies_on_its_column_in_the_whole_and_in_a_part() {
        let (columns, names) = (rows(100), names());
        let image = Array2::<f32>::zeros((200, 200));
        let map = SpeciesMap::new(image.view(), 0.1, &columns, &names);
        let part = Window { x_angstrom: 4.0, y_angstrom: 6.0, width_angstrom: 8.0, height_angstrom: 8.0 };
        for (map, low, side) in [(map.clone(), [-0.05, -0.05], 20.0), (map.window(part), [3.95, 5.95], 8.1)] {
            let picture = map.drawing().unwrap();
            let image = picture.rasterise().unwrap();
            // Column 44, of S, at (9, 9), and column 45, of Mo, at (11, 9), which is sure.
            let Some(Shape::Picture { area, .. }) = picture.layers[0].shapes.first() else { panic!("no picture") };
            let scale = f64::from(area.width) / side;
            let at = |x: f64, y: f64| image.get_pixel(((x - low[0]) * scale) as u32, ((y - low[1]) * scale) as u32).0;
            let mo = species_colour(&names, 0).0;
            let near = at(11.0, 9.0).iter().zip(mo).all(|(a, b)| a.abs_diff(b) < 20);
            assert!(near, "{:?}, expected about {mo:?}", at(11.0, 9.0));
            let (faint, own) = (at(9.0, 9.0), species_colour(&names, 2).0);
            assert!(faint[0] + 40 < own[0], "a faint disc is not opaque: {faint:?}, and {own:?} were it so");
        }
    }

    #[test]
    fn the_window_goes_to_where_the_defects_are() {
        let (columns, names) = (rows(100), names());
        let image = Array2::<f32>::zeros((200, 200));
        let near = |i: usize| site(SiteKind::PartialVacancy, 15.0 + 0.5 * i as f64, 16.0);
        let mut sites: Vec<SiteDefect> = (0..4).map(near).collect();
        sites.insert(0, site(SiteKind::PartialVacancy, 2.0, 2.0));
        let defects = Defects { sites, ..Defects::default() };
        let map = SpeciesMap::new(image.view(), 0.1, &columns, &names).defects(&defects);
        let window = map.busiest_window(6.0);
        assert_eq!(defects.sites.iter().filter(|s| window.contains(s.x_angstrom, s.y_angstrom)).count(), 4);
        assert!(window.x_angstrom >= -0.05 && window.x_angstrom + 6.0 <= 19.951, "{window:?}");
        let none = SpeciesMap::new(image.view(), 0.1, &columns, &names).busiest_window(1e9);
        assert!(none.width_angstrom <= 20.0 + 1e-9 && none.contains(10.0, 10.0));
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let (columns, names) = (rows(3), names());
        let empty = Array2::<f32>::zeros((0, 4));
        let image = Array2::<f32>::zeros((4, 4));
        assert!(matches!(
            SpeciesMap::new(empty.view(), 0.1, &columns, &names).drawing(),
            Err(ReportError::NoPixels { .. })
        ));
        assert!(matches!(
            SpeciesMap::new(image.view(), f64::NAN, &columns, &names).drawing(),
            Err(ReportError::PixelSize { .. })
        ));
        assert!(SpeciesMap::new(image.view(), 0.1, &[], &[]).drawing().is_ok());
    }
}
