//! What a network is trained on, a batch at a time.

/// Images and what is to be found in them; all arrays in C order, on the cells of the network (see
/// [`crate::architecture`]).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Number of images.
    pub images: usize,
    /// Cells along y.
    pub height: usize,
    /// Cells along x.
    pub width: usize,
    /// The images folded two by two, `[image, y, x, 4 * channel]`: `[dy, dx, channel]` within a cell.
    pub input: Vec<f32>,
    /// Share of a column of each species, `[image, y, x, species]`.
    pub share: Vec<f32>,
    /// From the cell to the nearest column, x and y in cells, `[image, y, x, 2]`.
    pub offset_cells: Vec<f32>,
    /// Atoms in the nearest column, `[image, y, x]`.
    pub atoms: Vec<f32>,
    /// How much a cell's offset and atoms count, `[image, y, x]`: falls from 1 to 0 with the distance from the column.
    pub near_column: Vec<f32>,
    /// The wave of each cell's pixels, `[image, y, x, dy, dx, part]`; empty if it is not asked for.
    pub wave: Vec<f32>,
    /// Whether a cell's shares count, `[image, y, x]`: 0 where there is no telling what is a column.
    pub counted: Vec<f32>,
}

impl Batch {
    /// An empty batch of images of this many cells.
    pub fn of_size(height: usize, width: usize) -> Batch {
        Batch { height, width, ..Batch::default() }
    }
}
