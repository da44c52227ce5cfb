//! Draws a contact sheet of a made-up crystal into the file that is given, `contact-sheet.png` without one.

use atomlens_core::{Atom, Grid, Structure, glam::DVec3};
use atomlens_report::{ColourMap, ContactSheet, Direction, Field, Panel, Plot, length_label};
use ndarray::Array2;

const PIXEL_ANGSTROM: f64 = 0.15;
const PIXELS: usize = 240;

fn main() -> Result<(), atomlens_report::ReportError> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "contact-sheet.png".to_owned());
    let structure = crystal();
    let places: Vec<(f64, f64)> =
        structure.atoms.iter().map(|a| (a.position_angstrom.x, a.position_angstrom.y)).collect();
    let grid = Grid { nx: PIXELS, ny: PIXELS, pixel_x_angstrom: PIXEL_ANGSTROM, pixel_y_angstrom: PIXEL_ANGSTROM };
    let mut sheet = ContactSheet::new("A made-up crystal: not a simulation")
        .columns(3)
        .push(Panel::structure(&structure, Field::of_grid(&grid)).caption("along the beam"))
        .push(
            Panel::structure_from(&structure, Direction::AlongY, Field::around(&structure, Direction::AlongY, 3.0))
                .caption("from the side, the beam travelling down"),
        );
    for width_angstrom in [0.4, 0.7, 1.0] {
        let image = blobs(&places, width_angstrom);
        let caption = format!("standard deviation {}", length_label(width_angstrom));
        sheet = sheet.push(Panel::on_grid(image.view(), &grid).caption(caption));
    }
    let image = blobs(&places, 0.5);
    let strain = image.mapv(|value| if value > 0.3 { value - 0.8 } else { f32::NAN });
    let profile = |row: usize| image.row(row).to_vec().into_iter().enumerate();
    let curve = |row| profile(row).map(|(i, value)| (0.1 * PIXEL_ANGSTROM * i as f64, f64::from(value)));
    sheet
        .push(Panel::on_grid(image.view(), &grid).marks("atoms", places.clone()).caption("marked"))
        .push(Panel::map(image.view(), &grid, ColourMap::Viridis, "brightness").caption("a map"))
        .push(Panel::map(strain.view(), &grid, ColourMap::Diverging, "difference").caption("a difference"))
        .push(Panel::plot(
            Plot::new("place (nm)", "brightness").curve("upper row", curve(60)).curve("middle row", curve(120)),
        ))
        .write_png(path)
}

/// A round plate of two elements.
fn crystal() -> Structure {
    let centre = 0.5 * PIXELS as f64 * PIXEL_ANGSTROM;
    let mut atoms = Vec::new();
    for i in -6..=6_i32 {
        for j in -6..=6_i32 {
            let place = DVec3::new(centre + 2.7 * f64::from(i), centre + 2.7 * f64::from(j), 0.0);
            let symbol = if (i + j) % 2 == 0 { "Ce" } else { "O" };
            let element = symbol.parse().expect("a symbol of the periodic table");
            if f64::from(i * i + j * j) < 24.0 {
                atoms.extend([0.0, 2.7, 5.4].map(|z| Atom::new(element, place + DVec3::Z * z)));
            }
        }
    }
    Structure { atoms, cell: None }
}

/// A Gaussian at every place.
fn blobs(places: &[(f64, f64)], deviation_angstrom: f64) -> Array2<f32> {
    Array2::from_shape_fn((PIXELS, PIXELS), |(j, i)| {
        let (x, y) = (i as f64 * PIXEL_ANGSTROM, j as f64 * PIXEL_ANGSTROM);
        let at =
            |(px, py): &(f64, f64)| (-((x - px).powi(2) + (y - py).powi(2)) / (2.0 * deviation_angstrom.powi(2))).exp();
        places.iter().map(at).sum::<f64>() as f32 / 3.0
    })
}
