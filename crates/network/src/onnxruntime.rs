//! Running a trained network with a library of onnxruntime that the user has.
//!
//! The library (`libonnxruntime.so.*`, `onnxruntime.dll`, `libonnxruntime.dylib`; the wheel from PyPI has one in its
//! folder `capi`) is loaded as the program runs; nothing depends on it. The network goes to it as the ONNX file that
//! [`network_to_onnx`] writes, tile by tile as in [`Network::look`], and its results differ from
//! ours by rounding: 1e-5 or so.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use atomlens_core::ConfidenceMap;
use ndarray::{ArrayView2, ArrayView3, s};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::Tensor;

use crate::network::{Network, Tile, answer_of, tiles};
use crate::onnx::network_to_onnx;
use crate::output::Answer;

/// onnxruntime allows one environment a process, so the first library that is loaded is the only one.
static LOADED: OnceLock<Result<(PathBuf, Environment), String>> = OnceLock::new();

/// A library that cannot be used, or a run that failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OnnxRuntimeError {
    /// It cannot be loaded.
    #[error(
        "{}: cannot be used as onnxruntime ({reason}); expected its shared library of version 1.17 or later, such as \
         libonnxruntime.so or onnxruntime.dll", path.display()
    )]
    Library {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another one is in use.
    #[error("{} is asked for, but {} is loaded, and a process can hold one onnxruntime only", path.display(), loaded.display())]
    AnotherLibrary {
        /// What is asked for.
        path: PathBuf,
        /// What is there.
        loaded: PathBuf,
    },
    /// It does not take the network or the image.
    #[error("onnxruntime failed: {0}; without --onnxruntime the program computes by itself")]
    Run(String),
}

impl From<ort::Error> for OnnxRuntimeError {
    fn from(error: ort::Error) -> OnnxRuntimeError {
        OnnxRuntimeError::Run(error.to_string())
    }
}

/// A network in the hands of onnxruntime.
#[derive(Debug)]
pub struct OnnxNetwork {
    /// Running needs it exclusively; images come one after the other.
    session: Mutex<Session>,
    network: Network,
}

impl OnnxNetwork {
    /// Loads the library, unless it is loaded, and gives it the network; it will use so many threads.
    ///
    /// # Errors
    /// A file that is no library of onnxruntime or too old a one, or a second library.
    pub fn new(library: &Path, network: &Network, threads: usize) -> Result<OnnxNetwork, OnnxRuntimeError> {
        let environment = environment(library)?;
        let session = Session::builder(environment)?
            .with_intra_threads(threads)
            .map_err(|error| OnnxRuntimeError::Run(error.to_string()))?
            .commit_from_memory(&network_to_onnx(network, &[]))?;
        Ok(OnnxNetwork { session: Mutex::new(session), network: network.clone() })
    }

    /// What [`Network::look`] does.
    ///
    /// # Errors
    /// If onnxruntime fails, for instance for want of memory.
    ///
    /// # Panics
    /// As [`Network::look`].
    pub fn look(
        &self,
        image: ArrayView3<'_, f32>,
        pixel_angstrom: f64,
        species: &[String],
    ) -> Result<ConfidenceMap, OnnxRuntimeError> {
        Ok(self.answer(image, pixel_angstrom, species)?.map)
    }

    /// What [`Network::answer`] does.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    ///
    /// # Panics
    /// As [`Network::look`].
    pub fn answer(
        &self,
        image: ArrayView3<'_, f32>,
        pixel_angstrom: f64,
        species: &[String],
    ) -> Result<Answer, OnnxRuntimeError> {
        self.answer_in_tiles(image, pixel_angstrom, species, Network::TILE_CELLS)
    }

    fn answer_in_tiles(
        &self,
        image: ArrayView3<'_, f32>,
        pixel_angstrom: f64,
        species: &[String],
        tile_cells: usize,
    ) -> Result<Answer, OnnxRuntimeError> {
        let mut answer = answer_of(self.network.architecture(), image.dim(), pixel_angstrom, species);
        let (ny, nx) = (answer.map.grid.ny, answer.map.grid.nx);
        for tile in tiles(self.network.architecture(), (ny, nx), tile_cells) {
            self.look_at(&tile, image, &mut answer)?;
        }
        Ok(answer)
    }

    /// Fills a tile's part of the answer.
    fn look_at(&self, tile: &Tile, image: ArrayView3<'_, f32>, answer: &mut Answer) -> Result<(), OnnxRuntimeError> {
        let Answer { map, wave } = answer;
        let (channels, height, width) = image.dim();
        // The graph itself adds the zeros beyond the image.
        let (rows, columns) = (&tile.rows, &tile.columns);
        let (bottom, right) = ((2 * rows.end).min(height), (2 * columns.end).min(width));
        let part = image.slice(s![.., 2 * rows.start..bottom, 2 * columns.start..right]);
        let shape = [1, channels, part.dim().1, part.dim().2];
        let input = Tensor::from_array((shape, part.iter().copied().collect::<Vec<f32>>()))?;
        let mut session = self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let results = session.run(ort::inputs!["image" => input])?;
        let cells = (shape[2].div_ceil(2), shape[3].div_ceil(2));
        let (ny, nx) = (map.grid.ny, map.grid.nx);
        let kept_rows = rows.keep_start..rows.keep_end.min(ny);
        let kept_columns = columns.keep_start..columns.keep_end.min(nx);
        if let Some(wave) = wave {
            let (_, values) = results["wave"].try_extract_tensor::<f32>()?;
            let parts = ArrayView3::from_shape((2, shape[2], shape[3]), values)
                .map_err(|_| OnnxRuntimeError::Run(format!("its result wave has {} numbers", values.len())))?;
            let (end_y, end_x) = ((2 * kept_rows.end).min(height), (2 * kept_columns.end).min(width));
            let (first_y, first_x) = (2 * rows.start, 2 * columns.start);
            let kept = parts.slice(s![
                ..,
                2 * kept_rows.start - first_y..end_y - first_y,
                2 * kept_columns.start - first_x..end_x - first_x
            ]);
            wave.slice_mut(s![.., 2 * kept_rows.start..end_y, 2 * kept_columns.start..end_x]).assign(&kept);
        }
        let from = s![
            kept_rows.start - rows.start..kept_rows.end - rows.start,
            kept_columns.start - columns.start..kept_columns.end - columns.start
        ];
        let to = s![kept_rows, kept_columns];
        let plane = |name: &str, index: usize| -> Result<ArrayView2<'_, f32>, OnnxRuntimeError> {
            let (_, values) = results[name].try_extract_tensor::<f32>()?;
            let size = cells.0 * cells.1;
            values
                .get(index * size..(index + 1) * size)
                .and_then(|values| ArrayView2::from_shape(cells, values).ok())
                .ok_or_else(|| OnnxRuntimeError::Run(format!("its result {name} has {} numbers", values.len())))
        };
        for index in 0..map.species.len() {
            map.share.slice_mut(s![index, .., ..]).slice_mut(to).assign(&plane("share", index)?.slice(from));
        }
        for index in 0..2 {
            let offsets = plane("offset_cells", index)?;
            map.offset_cells.slice_mut(s![index, .., ..]).slice_mut(to).assign(&offsets.slice(from));
        }
        map.offset_sigma_cells.slice_mut(to).assign(&plane("offset_sigma_cells", 0)?.slice(from));
        map.atoms.slice_mut(to).assign(&plane("atoms", 0)?.slice(from));
        map.atoms_sigma.slice_mut(to).assign(&plane("atoms_sigma", 0)?.slice(from));
        Ok(())
    }
}

fn environment(library: &Path) -> Result<&'static Environment, OnnxRuntimeError> {
    // A name without a folder would be looked for beside the program first.
    let path = std::path::absolute(library).unwrap_or_else(|_| library.to_owned());
    let load = || {
        let environment = ort::init_from(&path).map_err(|error| error.to_string())?;
        let environment = environment.build().map_err(|error| error.to_string())?;
        Ok((path.clone(), environment))
    };
    match LOADED.get_or_init(load) {
        Err(reason) => Err(OnnxRuntimeError::Library { path, reason: reason.clone() }),
        Ok((loaded, _)) if *loaded != path => Err(OnnxRuntimeError::AnotherLibrary { path, loaded: loaded.clone() }),
        Ok((_, environment)) => Ok(environment),
    }
}
