//! Structures as balls in the colours of their elements.
//!
//! The beam travels towards larger z, and a structure is seen with the beam: x to the right, y down, as in the image,
//! and the atoms of lowest z in front. Balls have six tenths of the covalent radius, so that columns of a projected
//! crystal stay apart; the far ones are paler.

use atomlens_core::{Element, Grid, Structure};

use crate::ReportError;
use crate::canvas::{Canvas, Point, Rectangle};
use crate::colour::{WHITE, mix};
use crate::element_style::{colour, covalent_radius_angstrom};

/// Radius of a ball over the covalent radius.
const BALL_SIZE: f64 = 0.6;
/// How much white is mixed into the furthest atoms.
const FAINTEST: f32 = 0.45;

/// From where a structure is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// With the beam: x to the right, y down.
    AlongBeam,
    /// From the side, along y: x to the right, the beam travelling down.
    AlongY,
    /// From the side, along x: y to the right, the beam travelling down.
    AlongX,
}

/// The part of a view that is drawn, in angstrom: x to the right, y down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Left edge.
    pub x_low_angstrom: f64,
    /// Right edge.
    pub x_high_angstrom: f64,
    /// Top edge.
    pub y_low_angstrom: f64,
    /// Bottom edge.
    pub y_high_angstrom: f64,
}

impl Field {
    /// A field from its edges, in angstrom.
    pub const fn new(x_low_angstrom: f64, x_high_angstrom: f64, y_low_angstrom: f64, y_high_angstrom: f64) -> Field {
        Field { x_low_angstrom, x_high_angstrom, y_low_angstrom, y_high_angstrom }
    }

    /// What an image on the grid shows: from half a pixel before the centre of its first pixel.
    pub fn of_grid(grid: &Grid) -> Field {
        let (half_x, half_y) = (0.5 * grid.pixel_x_angstrom, 0.5 * grid.pixel_y_angstrom);
        Field::new(-half_x, grid.field_x_angstrom() - half_x, -half_y, grid.field_y_angstrom() - half_y)
    }

    /// All places that are finite, with a margin; one angstrom each way about the origin without places.
    pub fn around_places(places_angstrom: impl IntoIterator<Item = (f64, f64)>, margin_angstrom: f64) -> Field {
        let finite = places_angstrom.into_iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let tight = finite.map(|(x, y)| Field::new(x, x, y, y)).reduce(|a, b| {
            Field::new(
                a.x_low_angstrom.min(b.x_low_angstrom),
                a.x_high_angstrom.max(b.x_high_angstrom),
                a.y_low_angstrom.min(b.y_low_angstrom),
                a.y_high_angstrom.max(b.y_high_angstrom),
            )
        });
        tight.map_or(Field::new(-1.0, 1.0, -1.0, 1.0), |field| {
            Field::new(
                field.x_low_angstrom - margin_angstrom,
                field.x_high_angstrom + margin_angstrom,
                field.y_low_angstrom - margin_angstrom,
                field.y_high_angstrom + margin_angstrom,
            )
        })
    }

    /// All atoms seen from a direction, with a margin; one angstrom each way about the origin without atoms.
    pub fn around(structure: &Structure, direction: Direction, margin_angstrom: f64) -> Field {
        let balls = balls(structure, direction);
        Field::around_places(balls.iter().map(|ball| (ball.x, ball.y)), margin_angstrom)
    }

    /// Width in angstrom.
    pub fn width_angstrom(&self) -> f64 {
        self.x_high_angstrom - self.x_low_angstrom
    }

    /// Height in angstrom.
    pub fn height_angstrom(&self) -> f64 {
        self.y_high_angstrom - self.y_low_angstrom
    }

    pub(crate) fn check(&self) -> Result<(), ReportError> {
        let (width_angstrom, height_angstrom) = (self.width_angstrom(), self.height_angstrom());
        let sound = |length: f64| length.is_finite() && length > 0.0;
        if sound(width_angstrom) && sound(height_angstrom) {
            Ok(())
        } else {
            Err(ReportError::Field { width_angstrom, height_angstrom })
        }
    }
}

/// An atom in the coordinates of a view, in angstrom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ball {
    element: Element,
    x: f64,
    y: f64,
    /// Distance from the viewer.
    depth: f64,
}

/// The atoms in the coordinates of a view, the furthest first.
pub(crate) fn balls(structure: &Structure, direction: Direction) -> Vec<Ball> {
    let mut balls: Vec<Ball> = structure
        .atoms
        .iter()
        .map(|atom| {
            let p = atom.position_angstrom;
            // All three are right-handed: right, down, away from the viewer.
            let (x, y, depth) = match direction {
                Direction::AlongBeam => (p.x, p.y, p.z),
                Direction::AlongY => (p.x, p.z, -p.y),
                Direction::AlongX => (p.y, p.z, p.x),
            };
            Ball { element: atom.element, x, y, depth }
        })
        .collect();
    balls.sort_by(|a, b| b.depth.total_cmp(&a.depth));
    balls
}

/// Draws the balls, which must be ordered from the furthest on; gives the elements that were drawn, each once.
pub(crate) fn draw(canvas: &mut Canvas, balls: &[Ball], field: &Field, pixel_angstrom: f64) -> Vec<Element> {
    let visible = Rectangle::new(0.0, 0.0, canvas.width_px() as f32, canvas.height_px() as f32);
    let (far, near) = (balls.first().map_or(0.0, |b| b.depth), balls.last().map_or(0.0, |b| b.depth));
    let mut elements = Vec::new();
    for ball in balls {
        let centre = Point::new(
            ((ball.x - field.x_low_angstrom) / pixel_angstrom) as f32,
            ((ball.y - field.y_low_angstrom) / pixel_angstrom) as f32,
        );
        let radius = ((BALL_SIZE * covalent_radius_angstrom(ball.element) / pixel_angstrom) as f32).max(0.7);
        let grown = Rectangle::new(
            visible.x - radius,
            visible.y - radius,
            visible.width + 2.0 * radius,
            visible.height + 2.0 * radius,
        );
        if !grown.contains(centre) {
            continue;
        }
        let distance = if far > near { (ball.depth - near) / (far - near) } else { 0.0 };
        canvas.ball(centre, radius, mix(colour(ball.element), WHITE, FAINTEST * distance as f32));
        if !elements.contains(&ball.element) {
            elements.push(ball.element);
        }
    }
    elements.sort_unstable_by(|a, b| b.cmp(a));
    elements
}

#[cfg(test)]
mod tests {
    use atomlens_core::{Atom, glam::DVec3};

    use super::*;
    use crate::colour::INK;

    fn structure() -> Structure {
        let atom = |symbol: &str, x, y, z| Atom::new(symbol.parse().unwrap(), DVec3::new(x, y, z));
        Structure { atoms: vec![atom("Mo", 1.0, 2.0, 3.0), atom("S", 4.0, 6.0, 9.0)], cell: None }
    }

    #[test]
    fn fields_hold_all_atoms() {
        assert_eq!(Field::around(&structure(), Direction::AlongBeam, 1.0), Field::new(0.0, 5.0, 1.0, 7.0));
        assert_eq!(Field::around(&structure(), Direction::AlongY, 0.0), Field::new(1.0, 4.0, 3.0, 9.0));
        assert_eq!(Field::around(&structure(), Direction::AlongX, 0.0), Field::new(2.0, 6.0, 3.0, 9.0));
        let grid = Grid { nx: 10, ny: 20, pixel_x_angstrom: 0.2, pixel_y_angstrom: 0.1 };
        assert_eq!(Field::of_grid(&grid), Field::new(-0.1, 1.9, -0.05, 1.95));
    }

    #[test]
    fn atoms_are_drawn_at_their_place_in_their_size() {
        let mut canvas = Canvas::new(200, 200, WHITE);
        let field = Field::new(0.0, 2.0, 1.0, 3.0);
        let elements = draw(&mut canvas, &balls(&structure(), Direction::AlongBeam), &field, 0.01);
        assert_eq!(elements, ["Mo".parse().unwrap()], "the sulphur atom is outside of the field");
        let image = canvas.into_image();
        let painted: Vec<u32> = (0..200).filter(|x| *image.get_pixel(*x, 100) != WHITE).collect();
        let (first, last) = (painted[0], painted[painted.len() - 1]);
        let diameter = 2.0 * 0.6 * 1.54 / 0.01;
        assert!((f64::from(last - first + 1) - diameter).abs() <= 2.0, "{first} to {last}, expected {diameter}");
        assert_eq!(first + last, 199);
        assert_ne!(*image.get_pixel(100, 100), INK);
    }
}
