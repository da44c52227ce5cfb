//! From training pairs to batches.

use atomlens_dataset::training::TrainingPair;
use atomlens_network::Batch;

/// How fast a cell's offset counts less with its distance from the column, in cells (standard deviation).
const NEAR_CELLS: f32 = 1.0;

/// Puts pairs into a batch.
///
/// # Panics
/// If the pairs differ in size.
pub(super) fn batch(pairs: &[TrainingPair]) -> Batch {
    let grid = &pairs[0].target.grid;
    let mut batch = Batch::of_size(grid.ny, grid.nx);
    for pair in pairs {
        add(&mut batch, pair);
    }
    batch
}

fn add(batch: &mut Batch, pair: &TrainingPair) {
    let (target, input) = (&pair.target, &pair.input);
    let (channels, height, width) = input.dim();
    assert_eq!((height, width), (2 * batch.height, 2 * batch.width), "size of the images");
    let species = target.share.dim().0;
    batch.images += 1;
    for y in 0..batch.height {
        for x in 0..batch.width {
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                batch.input.extend((0..channels).map(|channel| input[[channel, 2 * y + dy, 2 * x + dx]]));
            }
            batch.share.extend((0..species).map(|species| target.share[[species, y, x]]));
            let offset = [target.offset_cells[[0, y, x]], target.offset_cells[[1, y, x]]];
            batch.offset_cells.extend(offset);
            batch.atoms.push(target.atoms[[y, x]]);
            let square = offset[0] * offset[0] + offset[1] * offset[1];
            let near = (-0.5 * square / (NEAR_CELLS * NEAR_CELLS)).exp();
            batch.near_column.push(if target.has_column[[y, x]] { near } else { 0.0 });
            batch.counted.push(if target.ignore[[y, x]] { 0.0 } else { 1.0 });
            if let Some(wave) = &pair.wave {
                for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    batch.wave.extend((0..2).map(|part| wave[[part, 2 * y + dy, 2 * x + dx]]));
                }
            }
        }
    }
}
