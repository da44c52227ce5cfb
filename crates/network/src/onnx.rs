//! Networks as ONNX files, for other programs.
//!
//! The file computes what [`Network::look`](crate::Network::look) computes, for whole images of any size:
//!
//! - `image` `[batch, channel, y, x]`: normalised images at the model's pixel size.
//! - `share` `[batch, species, cells_y, cells_x]`, `offset_cells` `[batch, (x, y), cells_y, cells_x]`,
//!   `offset_sigma_cells`, `atoms` and `atoms_sigma` `[batch, cells_y, cells_x]`: see
//!   [`ConfidenceMap`](atomlens_core::ConfidenceMap). A cell is two by two pixels; an odd edge is rounded up.
//! - `wave` `[batch, (real, imaginary), y, x]`, if the network gives it: see [`Answer`](crate::Answer).
//!
//! Only operators of the standard set 17 (<https://onnx.ai/onnx/operators/>) are used. Images are padded with zeros to
//! the multiple of pixels that the network's levels need, and the results cut back, inside the graph. ONNX keeps the
//! channels before the places; weights `[ky, kx, channel_in, channel_out]` become `[channel_out, channel_in, ky, kx]`.
//!
//! Readers of ONNX take no file above 2 GB: 500 million parameters.

use ndarray::ArrayView4;
use prost::Message;

use crate::architecture::{Activation, Step};
use crate::network::Network;
use crate::output::{ATOMS_SCALE, LOG_ATOMS_SIGMA, LOG_OFFSET_SIGMA, WAVE_CHANNELS};
use messages::{
    Attribute, AttributeKind, Dimension, Entry, Graph, Model, Node, Number, OperatorSet, Shape, Tensor, TensorType,
    Type, ValueInfo,
};

pub mod messages;

/// Version of the file format; that of the operators' version.
const IR_VERSION: i64 = 8;
/// Version of the operators.
const OPERATOR_SET: i64 = 17;

/// A network as the bytes of an ONNX file; `about` goes into its metadata, key by key.
pub fn network_to_onnx(network: &Network, about: &[(String, String)]) -> Vec<u8> {
    let entry = |(key, value): &(String, String)| Entry { key: Some(key.clone()), value: Some(value.clone()) };
    let model = Model {
        ir_version: Some(IR_VERSION),
        producer_name: "atomlens".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "Finds atomic columns in normalised micrographs.".to_owned(),
        graph: Some(graph(network)),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
        metadata_props: about.iter().map(entry).collect(),
    };
    model.encode_to_vec()
}

fn graph(network: &Network) -> Graph {
    let architecture = network.architecture();
    let species = architecture.species as i64;
    let mut build = Builder::default();
    let image = build.padded_image(2 * architecture.cell_multiple());
    let raw = build.steps(network, &image);
    build.outputs(&raw, species, architecture.wave);

    let (cells, any) = (["cells_y", "cells_x"].map(named), || named("batch"));
    let [cells_y, cells_x] = &cells;
    let plane = || vec![any(), cells_y.clone(), cells_x.clone()];
    let planes = |count| vec![any(), numbered(count), cells_y.clone(), cells_x.clone()];
    let mut outputs = vec![
        value(
            "share",
            planes(species),
            "Share of a column of each species in a cell of 2 x 2 pixels: summed around a place, its probability.",
        ),
        value("offset_cells", planes(2), "From a cell's centre to the nearest column, x and y, in cells."),
        value("offset_sigma_cells", plane(), "Standard deviation of the offset along x or y, in cells."),
        value("atoms", plane(), "Atoms in the nearest column."),
        value("atoms_sigma", plane(), "Standard deviation of the number of atoms."),
    ];
    if architecture.wave {
        outputs.push(value(
            "wave",
            vec![any(), numbered(2), named("y"), named("x")],
            "Deviation of the wave behind the specimen from 1 over the images' contrast, real and imaginary part.",
        ));
    }
    Graph {
        node: build.nodes,
        name: "atomlens".to_owned(),
        initializer: build.constants,
        doc_string: String::new(),
        input: vec![value(
            "image",
            vec![any(), numbered(architecture.image_channels as i64), named("y"), named("x")],
            "Normalised images at the pixel size that the network was trained for.",
        )],
        output: outputs,
    }
}

/// Appends operations and constants; the methods give the name of the result.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

impl Builder {
    /// Appends an operation with one result.
    fn apply(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: Vec<Attribute>) -> String {
        self.apply_with_parts(operator, inputs, &[output], attributes);
        output.to_owned()
    }

    /// Appends an operation with any number of results.
    fn apply_with_parts(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<Attribute>) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: outputs.iter().map(|&name| name.to_owned()).collect(),
            name: outputs[0].to_owned(),
            op_type: operator.to_owned(),
            attribute: attributes,
        });
    }

    /// Appends a constant of single precision.
    fn floats(&mut self, name: &str, shape: &[usize], values: impl Iterator<Item = f32>) -> String {
        self.constant(name, shape, Number::Float, values.flat_map(f32::to_le_bytes).collect())
    }

    /// Appends a list of whole numbers.
    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len()], Number::Int64, bytes)
    }

    fn constant(&mut self, name: &str, shape: &[usize], number: Number, bytes: Vec<u8>) -> String {
        self.constants.push(Tensor {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(number.into()),
            name: name.to_owned(),
            raw_data: Some(bytes),
        });
        name.to_owned()
    }

    /// The image with zeros below and to the right, up to a multiple of pixels.
    fn padded_image(&mut self, multiple: usize) -> String {
        let size = self.apply("Shape", &["image"], "image_size", vec![integer("start", 2), integer("end", 4)]);
        let multiple = self.integers("multiple", &[multiple as i64]);
        let negative = self.apply("Neg", &[&size], "image_size.negative", vec![]);
        let rest = self.apply("Mod", &[&negative, &multiple], "padding.end", vec![]);
        let start = self.integers("padding.start", &[0; 6]);
        let padding = self.apply("Concat", &[&start, &rest], "padding", vec![integer("axis", 0)]);
        self.apply("Pad", &["image", &padding], "image.padded", vec![text("mode", "constant")])
    }

    /// The steps of a network; gives the result of the last.
    fn steps(&mut self, network: &Network, image: &str) -> String {
        let architecture = network.architecture();
        let sizes = architecture.convolutions();
        let mut convolutions = sizes.iter().zip(&network.weights().0);
        let mut results = Vec::<String>::with_capacity(architecture.steps.len());
        for (index, step) in architecture.steps.iter().enumerate() {
            let name = |part: &str| format!("step_{index:02}.{part}");
            let result = match step {
                // Its channels come out as [dy, dx, channel], which is our order.
                Step::Input { .. } => {
                    self.apply("SpaceToDepth", &[image], &name("folded"), vec![integer("blocksize", 2)])
                }
                Step::Convolution { from, kernel, dilation, activation, skip, .. } => {
                    let (size, weights) = convolutions.next().expect("weights for every convolution");
                    let shape = (size.kernel, size.kernel, size.channels_in, size.channels_out);
                    let weight = ArrayView4::from_shape(shape, &weights.weight).expect("weights fit the network");
                    let weight = weight.permuted_axes([3, 2, 0, 1]);
                    let weight = self.floats(&name("weight"), weight.shape(), weight.iter().copied());
                    let bias = self.floats(&name("bias"), &[size.channels_out], weights.bias.iter().copied());
                    let (kernel, dilation) = (*kernel as i64, *dilation as i64);
                    let settings = vec![
                        integers("kernel_shape", &[kernel; 2]),
                        integers("dilations", &[dilation; 2]),
                        integers("pads", &[kernel / 2 * dilation; 4]),
                    ];
                    let inputs = [&results[*from], &weight, &bias].map(|name| &name[..]);
                    let mut result = self.apply("Conv", &inputs, &name("convolution"), settings);
                    if let Some(skip) = skip {
                        result = self.apply("Add", &[&result, &results[*skip]], &name("sum"), vec![]);
                    }
                    match activation {
                        Activation::None => result,
                        Activation::Relu => self.apply("Relu", &[&result], &name("relu"), vec![]),
                    }
                }
                Step::Pool { from } => {
                    let settings = vec![integers("kernel_shape", &[2; 2]), integers("strides", &[2; 2])];
                    self.apply("AveragePool", &[&results[*from]], &name("pool"), settings)
                }
                Step::Upsample { from, skip } => {
                    let scales = self.floats(&name("scales"), &[4], [1.0, 1.0, 2.0, 2.0].into_iter());
                    let settings = vec![
                        text("mode", "nearest"),
                        text("coordinate_transformation_mode", "asymmetric"),
                        text("nearest_mode", "floor"),
                    ];
                    let finer = self.apply("Resize", &[&results[*from], "", &scales], &name("finer"), settings);
                    self.apply("Add", &[&finer, &results[*skip]], &name("sum"), vec![])
                }
                Step::Concatenate { from: [first, second] } => {
                    let inputs = [&results[*first][..], &results[*second]];
                    self.apply("Concat", &inputs, &name("concatenated"), vec![integer("axis", 1)])
                }
            };
            results.push(result);
        }
        results.pop().expect("a network has steps")
    }

    /// From the network's result to what it means: the arithmetic of [`crate::output`].
    fn outputs(&mut self, raw: &str, species: i64, wave: bool) {
        let one = self.integers("one", &[1]);
        let two = self.integers("two", &[2]);
        let zero = self.integers("zero", &[0]);
        let rounded = self.apply("Add", &["image_size", &one], "image_size.rounded", vec![]);
        let cells = self.apply("Div", &[&rounded, &two], "cells", vec![]);
        let origin = self.integers("origin", &[0, 0]);
        let places = self.integers("places", &[2, 3]);
        let raw = self.apply("Slice", &[raw, &origin, &cells, &places], "raw", vec![]);

        let mut counts = vec![species + 1, 2, 1, 1, 1];
        let mut parts = vec!["logits", "offset_cells", "log_offset_sigma", "scaled_atoms", "log_atoms_sigma"];
        if wave {
            counts.push(WAVE_CHANNELS as i64);
            parts.push("folded_wave");
        }
        let counts = self.integers("channels", &counts);
        self.apply_with_parts("Split", &[&raw, &counts], &parts, vec![integer("axis", 1)]);
        if wave {
            let settings = vec![integer("blocksize", 2), text("mode", "DCR")];
            let unfolded = self.apply("DepthToSpace", &["folded_wave"], "wave.unfolded", settings);
            self.apply("Slice", &[&unfolded, &origin, "image_size", &places], "wave", vec![]);
        }

        let shares = self.apply("Softmax", &["logits"], "shares", vec![integer("axis", 1)]);
        let species = self.integers("species", &[species]);
        self.apply("Slice", &[&shares, &zero, &species, &one], "share", vec![]);

        for (log, output, limits) in [
            ("log_offset_sigma", "offset_sigma_cells", LOG_OFFSET_SIGMA),
            ("log_atoms_sigma", "atoms_sigma", LOG_ATOMS_SIGMA),
        ] {
            let name = |part: &str| format!("{log}.{part}");
            let least = self.floats(&name("least"), &[], [limits.0].into_iter());
            let most = self.floats(&name("most"), &[], [limits.1].into_iter());
            let kept = self.apply("Clip", &[log, &least, &most], &name("kept"), vec![]);
            let sigma = self.apply("Exp", &[&kept], &name("exponential"), vec![]);
            self.apply("Squeeze", &[&sigma, &one], output, vec![]);
        }

        let scale = self.floats("atoms.scale", &[], [ATOMS_SCALE].into_iter());
        let atoms = self.apply("Mul", &["scaled_atoms", &scale], "atoms.scaled", vec![]);
        let atoms = self.apply("Relu", &[&atoms], "atoms.positive", vec![]);
        self.apply("Squeeze", &[&atoms, &one], "atoms", vec![]);
    }
}

fn integer(name: &str, value: i64) -> Attribute {
    Attribute { i: Some(value), ..attribute(name, AttributeKind::Int) }
}

fn integers(name: &str, values: &[i64]) -> Attribute {
    Attribute { ints: values.to_vec(), ..attribute(name, AttributeKind::Ints) }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute { s: Some(value.as_bytes().to_vec()), ..attribute(name, AttributeKind::String) }
}

fn attribute(name: &str, kind: AttributeKind) -> Attribute {
    Attribute { name: name.to_owned(), r#type: Some(kind.into()), ..Attribute::default() }
}

fn named(name: &str) -> Dimension {
    Dimension { dim_value: None, dim_param: Some(name.to_owned()) }
}

fn numbered(length: i64) -> Dimension {
    Dimension { dim_value: Some(length), dim_param: None }
}

fn value(name: &str, dim: Vec<Dimension>, about: &str) -> ValueInfo {
    let tensor_type = TensorType { elem_type: Some(Number::Float.into()), shape: Some(Shape { dim }) };
    ValueInfo {
        name: name.to_owned(),
        r#type: Some(Type { tensor_type: Some(tensor_type) }),
        doc_string: about.to_owned(),
    }
}
