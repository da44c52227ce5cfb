//! Which part of the simulated box an image shows.

use atomlens_core::grid::next_fast_length;
use atomlens_core::{Column, Grid, RandomStream};
use atomlens_specimen::dynamics::{Movie, Site};

use crate::{MovieTruth, Recipe};

/// The image within the box that is simulated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The image.
    pub(crate) image: Grid,
    /// The whole box with the pixels of the image.
    pub(crate) whole: Grid,
    /// Pixels of the box to the left of the image and above it: half of what the box has more, so that the image is its middle.
    pub(crate) margin: [usize; 2],
}

impl View {
    pub(crate) fn draw(recipe: &Recipe, random: &mut RandomStream) -> View {
        let [nx, ny] = recipe.image.pixels.each();
        let pixel = recipe.image.pixel_size_angstrom.sample(random);
        let margin = (recipe.image.margin_angstrom / pixel).ceil() as usize;
        let (whole_nx, whole_ny) = (next_fast_length(nx + 2 * margin), next_fast_length(ny + 2 * margin));
        let grid = |nx, ny| Grid { nx, ny, pixel_x_angstrom: pixel, pixel_y_angstrom: pixel };
        let margin = [(whole_nx - nx) / 2, (whole_ny - ny) / 2];
        View { image: grid(nx, ny), whole: grid(whole_nx, whole_ny), margin }
    }

    pub(crate) fn origin_angstrom(&self) -> [f64; 2] {
        let [x, y] = self.margin;
        [x as f64 * self.image.pixel_x_angstrom, y as f64 * self.image.pixel_y_angstrom]
    }

    /// A movie's truth in the image's coordinates.
    pub(crate) fn movie_truth(&self, movie: &Movie) -> MovieTruth {
        let [origin_x, origin_y] = self.origin_angstrom();
        let moved = |site: &Site| Site {
            x_angstrom: site.x_angstrom - origin_x,
            y_angstrom: site.y_angstrom - origin_y,
            ..site.clone()
        };
        MovieTruth {
            sites: movie.sites.iter().map(moved).collect(),
            occupancy: movie.occupancy.clone(),
            drift: movie.drift.clone(),
            rotation_centre_angstrom: [
                0.5 * self.whole.field_x_angstrom() - origin_x,
                0.5 * self.whole.field_y_angstrom() - origin_y,
            ],
            hops: movie.hops.clone(),
            frame_time_s: movie.frame_time_s,
        }
    }

    /// The columns that lie in the image, in its coordinates.
    pub(crate) fn columns(&self, columns: &[Column]) -> Vec<Column> {
        let [origin_x, origin_y] = self.origin_angstrom();
        let within =
            |place: f64, pixels: usize, pixel: f64| (-0.5 * pixel..(pixels as f64 - 0.5) * pixel).contains(&place);
        columns
            .iter()
            .map(|column| Column {
                x_angstrom: column.x_angstrom - origin_x,
                y_angstrom: column.y_angstrom - origin_y,
                ..column.clone()
            })
            .filter(|column| {
                within(column.x_angstrom, self.image.nx, self.image.pixel_x_angstrom)
                    && within(column.y_angstrom, self.image.ny, self.image.pixel_y_angstrom)
            })
            .collect()
    }
}
