//! Weights cut into panels of 8, 16 or 24 output channels, each contiguous, so that the innermost loop reads straight on.

/// A matrix `[row, column]` as panels `[panel][row][column of the panel]`, filled up with zeros.
pub(super) struct Panels {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
    widths: Vec<usize>,
}

/// One panel.
pub(super) struct Panel<'a> {
    /// `[row, column of the panel]`.
    pub values: &'a [f32],
    /// 8, 16 or 24.
    pub width: usize,
    /// The first column.
    pub first: usize,
    /// How many columns of the matrix it holds.
    pub count: usize,
}

/// Widths of the panels that hold `columns` columns: sixteens, with one 24 for an odd number of eights.
pub(super) fn widths(columns: usize) -> Vec<usize> {
    let eights = columns.div_ceil(8);
    match eights {
        0 => vec![],
        1 => vec![8],
        _ if eights.is_multiple_of(2) => vec![16; eights / 2],
        _ => {
            let mut widths = vec![16; eights / 2];
            widths[0] = 24;
            widths
        }
    }
}

impl Panels {
    /// Panels of zeros.
    pub(super) fn zeros(rows: usize, columns: usize) -> Self {
        let widths = widths(columns);
        let values = vec![0.0; rows * widths.iter().sum::<usize>()];
        Panels { values, rows, columns, widths }
    }

    /// Panels of the matrix whose element is `element(row, column)`.
    pub(super) fn pack(rows: usize, columns: usize, element: impl Fn(usize, usize) -> f32) -> Self {
        let mut panels = Panels::zeros(rows, columns);
        let mut first = 0;
        let mut rest = panels.values.as_mut_slice();
        for &width in &panels.widths {
            let panel = rest.split_off_mut(..rows * width).expect("sized from the widths");
            let count = width.min(columns - first);
            for (row, into) in panel.chunks_exact_mut(width).enumerate() {
                for (column, into) in into.iter_mut().take(count).enumerate() {
                    *into = element(row, first + column);
                }
            }
            first += count;
        }
        panels
    }

    /// Columns of all panels together, those of zeros among them.
    pub(super) fn width(&self) -> usize {
        self.widths.iter().sum()
    }

    /// The panels in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Panel<'_>> {
        let mut first = 0;
        let mut rest = self.values.as_slice();
        self.widths.iter().map(move |&width| {
            let values = rest.split_off(..self.rows * width).expect("sized from the widths");
            let panel = Panel { values, width, first, count: width.min(self.columns - first) };
            first += panel.count;
            panel
        })
    }

    /// Everything, to be filled: `[panel][row][column of the panel]`.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Adds the panels of a matrix of the same shape.
    pub(super) fn add(&mut self, other: &Panels) {
        for (into, value) in self.values.iter_mut().zip(&other.values) {
            *into += value;
        }
    }

    /// Calls `put(row, column, value)` for every element of the matrix.
    pub(super) fn unpack(&self, mut put: impl FnMut(usize, usize, f32)) {
        for panel in self.iter() {
            for (row, values) in panel.values.chunks_exact(panel.width).enumerate() {
                for (column, value) in values[..panel.count].iter().enumerate() {
                    put(row, panel.first + column, *value);
                }
            }
        }
    }
}
