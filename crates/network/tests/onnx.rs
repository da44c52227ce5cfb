//! An exported network, read back and computed node by node as the ONNX standard words its operators, gives what the
//! network gives. `benches/against_onnxruntime` does the same with another program.

use std::collections::{BTreeMap, BTreeSet};

use atomlens_core::SeedPath;
use atomlens_network::architecture::{Activation, Step};
use atomlens_network::onnx::messages::{Dimension, Model, Node, Number, Tensor};
use atomlens_network::{Answer, Architecture, Family, LearnerState, Network, network_to_onnx};
use ndarray::{Array3, ArrayD, Axis, IxDyn, SliceInfoElem};
use prost::Message;
use rand::RngExt;

fn networks() -> Vec<Network> {
    let families = [
        Family::Ladder { channels: vec![6, 5, 8], pairs: 1 },
        Family::EncoderDecoder { channels: vec![5, 7] },
        Family::MixedScaleDense { layers: 5, width: 2, largest_dilation: 3 },
    ];
    let made = |family| {
        let architecture = match family {
            Family::MixedScaleDense { .. } => Architecture::new(family, 2, 3),
            _ => Architecture::new(family, 2, 3).with_wave(),
        };
        let mut weights = LearnerState::draw(&architecture, SeedPath::new(5)).weights(&architecture);
        // The network draws no biases, and its last step only small weights.
        let mut random = SeedPath::new(6).stream();
        weights.0.iter_mut().flat_map(|one| &mut one.bias).for_each(|bias| *bias = random.random_range(-0.3..0.3));
        let head = weights.0.last_mut().unwrap();
        head.weight.iter_mut().chain(&mut head.bias).for_each(|value| *value *= 10.0);
        Network::new(architecture, weights).unwrap()
    };
    families.into_iter().map(made).collect()
}

fn exported(network: &Network) -> Model {
    let about = [("recipe".to_owned(), "a test".to_owned())];
    Model::decode(&network_to_onnx(network, &about)[..]).unwrap()
}

#[test]
fn the_graph_gives_what_the_network_gives() {
    let species: Vec<String> = ["A", "B", "C"].map(str::to_owned).to_vec();
    let mut ranges = BTreeMap::new();
    for network in networks() {
        let model = exported(&network);
        // One size that the levels divide, and one that has to be padded.
        for (height, width) in [(32, 48), (27, 38)] {
            let mut random = SeedPath::new(9).stream();
            let image = Array3::from_shape_simple_fn((2, height, width), || random.random_range(-3.0_f32..3.0));
            let Answer { map: ours, wave } = network.answer(image.view(), 0.2, &species);
            let theirs = evaluate(&model, image.insert_axis(Axis(0)).into_dyn());
            assert_eq!(wave.is_some(), network.architecture().wave);
            let mut pairs = vec![
                ("share", ours.share.into_dyn()),
                ("offset_cells", ours.offset_cells.into_dyn()),
                ("offset_sigma_cells", ours.offset_sigma_cells.into_dyn()),
                ("atoms", ours.atoms.into_dyn()),
                ("atoms_sigma", ours.atoms_sigma.into_dyn()),
            ];
            pairs.extend(wave.map(|wave| ("wave", wave.into_dyn())));
            for (name, ours) in pairs {
                let theirs = theirs[name].index_axis(Axis(0), 0);
                assert_eq!(theirs.shape(), ours.shape(), "{name}");
                for (a, b) in theirs.iter().zip(&ours) {
                    assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{name}: {a} {b}");
                }
                let (least, most) = ranges.entry(name).or_insert((f32::MAX, f32::MIN));
                ours.iter().for_each(|&value| (*least, *most) = (least.min(value), most.max(value)));
            }
        }
    }
    // The values are such that every limit is at work.
    assert_eq!(ranges["offset_sigma_cells"], (f32::exp(-3.5), f32::exp(1.0)));
    assert_eq!(ranges["atoms_sigma"], (f32::exp(-2.0), f32::exp(3.0)));
    assert!(ranges["atoms"].0 == 0.0 && ranges["atoms"].1 > 5.0, "{ranges:?}");
    assert!(ranges["share"].0 < 0.01 && ranges["share"].1 > 0.9, "{ranges:?}");
    assert!(ranges["offset_cells"].0 < -1.0 && ranges["offset_cells"].1 > 1.0, "{ranges:?}");
}

#[test]
fn nodes_and_weights_are_those_of_the_network() {
    for network in networks() {
        let model = exported(&network);
        assert_eq!(model.ir_version, Some(8));
        assert_eq!(model.opset_import[0].version, Some(17));
        assert_eq!(model.metadata_props[0].key.as_deref(), Some("recipe"));
        assert_eq!(model.metadata_props[0].value.as_deref(), Some("a test"));
        let graph = model.graph.as_ref().unwrap();

        let steps = &network.architecture().steps;
        let count = |operator: &str| graph.node.iter().filter(|node| node.op_type == operator).count();
        let steps_like = |like: fn(&Step) -> bool| steps.iter().filter(|step| like(step)).count();
        assert_eq!(count("SpaceToDepth"), 1);
        assert_eq!(count("Conv"), network.architecture().convolutions().len());
        assert_eq!(count("AveragePool"), steps_like(|step| matches!(step, Step::Pool { .. })));
        assert_eq!(count("Resize"), steps_like(|step| matches!(step, Step::Upsample { .. })));
        // One more cuts the atoms at zero, one more Concat and Add serve the padding.
        let is_relu = |step: &Step| matches!(step, Step::Convolution { activation: Activation::Relu, .. });
        assert_eq!(count("Relu"), steps_like(is_relu) + 1);
        assert_eq!(count("Concat"), steps_like(|step| matches!(step, Step::Concatenate { .. })) + 1);
        let adds = |step: &Step| matches!(step, Step::Convolution { skip: Some(_), .. } | Step::Upsample { .. });
        assert_eq!(count("Add"), steps_like(adds) + 1);

        let constants: BTreeMap<&str, &Tensor> = graph.initializer.iter().map(|one| (&one.name[..], one)).collect();
        assert_eq!(constants.len(), graph.initializer.len(), "names of constants are unique");
        for (size, weights) in network.architecture().convolutions().iter().zip(&network.weights().0) {
            let weight = floats(constants[&format!("step_{:02}.weight", size.step)[..]]);
            assert_eq!(weight.shape(), [size.channels_out, size.channels_in, size.kernel, size.kernel]);
            for ((out, channel), ky, kx) in (0..size.channels_out)
                .flat_map(|o| (0..size.channels_in).map(move |i| (o, i)))
                .flat_map(|at| (0..size.kernel).flat_map(move |ky| (0..size.kernel).map(move |kx| (at, ky, kx))))
            {
                let ours = ((ky * size.kernel + kx) * size.channels_in + channel) * size.channels_out + out;
                assert_eq!(weight[[out, channel, ky, kx]], weights.weight[ours]);
            }
            let bias = floats(constants[&format!("step_{:02}.bias", size.step)[..]]);
            assert_eq!(bias.iter().copied().collect::<Vec<_>>(), weights.bias);
        }
    }
}

#[test]
fn values_are_defined_once_and_before_they_are_used() {
    for network in networks() {
        let graph = exported(&network).graph.unwrap();
        let mut known: BTreeSet<&str> = graph.initializer.iter().map(|one| &one.name[..]).collect();
        known.extend(graph.input.iter().map(|one| &one.name[..]));
        let mut names = BTreeSet::new();
        for node in &graph.node {
            assert!(names.insert(&node.name), "two nodes are called {}", node.name);
            for input in node.input.iter().filter(|input| !input.is_empty()) {
                assert!(known.contains(&input[..]), "{} takes {input}, which does not exist yet", node.name);
            }
            for output in &node.output {
                assert!(known.insert(output), "{output} is defined twice");
            }
        }
        assert!(graph.output.iter().all(|one| known.contains(&one.name[..])));
        let names: Vec<&str> = graph.output.iter().map(|one| &one.name[..]).collect();
        let columns = ["share", "offset_cells", "offset_sigma_cells", "atoms", "atoms_sigma"];
        assert_eq!(names[..columns.len()], columns);
        assert_eq!(names[columns.len()..], ["wave"][..usize::from(network.architecture().wave)]);
        let shape = |index: usize| {
            let tensor = graph.output[index].r#type.clone().unwrap().tensor_type.unwrap();
            assert_eq!(tensor.elem_type(), Number::Float);
            let word = |one: Dimension| one.dim_param.or(one.dim_value.map(|length| length.to_string())).unwrap();
            tensor.shape.unwrap().dim.into_iter().map(word).collect::<Vec<_>>()
        };
        assert_eq!(shape(0), ["batch", "3", "cells_y", "cells_x"]);
        assert_eq!(shape(3), ["batch", "cells_y", "cells_x"]);
    }
}

// A plain evaluation of the operators as <https://onnx.ai/onnx/operators/> words them, version 17. Whole numbers are
// kept as floating-point ones: here they are small.

/// All values of a graph, by name.
fn evaluate(model: &Model, image: ArrayD<f32>) -> BTreeMap<String, ArrayD<f32>> {
    let graph = model.graph.as_ref().unwrap();
    let mut values: BTreeMap<String, ArrayD<f32>> =
        graph.initializer.iter().map(|one| (one.name.clone(), floats(one))).collect();
    values.insert("image".to_owned(), image);
    for node in &graph.node {
        let absent = ArrayD::zeros(IxDyn(&[0]));
        let inputs: Vec<&ArrayD<f32>> =
            node.input.iter().map(|name| if name.is_empty() { &absent } else { &values[name] }).collect();
        let results = apply(node, &inputs);
        assert_eq!(results.len(), node.output.len());
        values.extend(node.output.iter().cloned().zip(results));
    }
    values
}

fn floats(tensor: &Tensor) -> ArrayD<f32> {
    let bytes = tensor.raw_data.as_ref().unwrap();
    let values: Vec<f32> = match tensor.data_type() {
        Number::Float => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        Number::Int64 => bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f32).collect(),
        Number::Undefined => panic!("{} has no type", tensor.name),
    };
    let shape: Vec<usize> = tensor.dims.iter().map(|&length| length as usize).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap()
}

fn apply(node: &Node, inputs: &[&ArrayD<f32>]) -> Vec<ArrayD<f32>> {
    let setting = |name: &str| node.attribute.iter().find(|one| one.name == name).unwrap();
    let integer = |name: &str| setting(name).i.unwrap() as usize;
    let integers = |name: &str| setting(name).ints.iter().map(|&value| value as usize).collect::<Vec<_>>();
    let text = |name: &str| std::str::from_utf8(setting(name).s.as_ref().unwrap()).unwrap();
    let whole = |values: &ArrayD<f32>| values.iter().map(|&value| value as usize).collect::<Vec<_>>();
    let x = inputs[0];
    let result = match &node.op_type[..] {
        "Shape" => {
            let of = x.shape()[integer("start")..integer("end")].iter().map(|&length| length as f32);
            of.collect::<ndarray::Array1<f32>>().into_dyn()
        }
        "Neg" => -x,
        // Of whole numbers: the rest has the sign of the divisor.
        "Mod" => {
            let divisor = inputs[1][[0]];
            x.mapv(|value| value.rem_euclid(divisor))
        }
        "Div" => (x / inputs[1]).mapv(f32::trunc),
        "Add" => x + inputs[1],
        "Mul" => x * inputs[1],
        "Relu" => x.mapv(|value| value.max(0.0)),
        "Exp" => x.mapv(f32::exp),
        "Clip" => {
            let (least, most) = (inputs[1].first().unwrap(), inputs[2].first().unwrap());
            x.mapv(|value| value.clamp(*least, *most))
        }
        "Concat" => {
            let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
            ndarray::concatenate(Axis(integer("axis")), &views).unwrap()
        }
        "Pad" => {
            assert_eq!(text("mode"), "constant");
            let pads = whole(inputs[1]);
            let axes = x.ndim();
            let shape: Vec<usize> = (0..axes).map(|axis| pads[axis] + x.shape()[axis] + pads[axes + axis]).collect();
            let mut padded = ArrayD::zeros(shape);
            padded
                .slice_each_axis_mut(|one| (pads[one.axis.0]..pads[one.axis.0] + x.shape()[one.axis.0]).into())
                .assign(x);
            padded
        }
        "SpaceToDepth" => {
            let (size, shape) = (integer("blocksize"), x.shape());
            let (n, c, h, w) = (shape[0], shape[1], shape[2] / size, shape[3] / size);
            let split = x.to_shape((n, c, h, size, w, size)).unwrap();
            let moved = split.permuted_axes([0, 3, 5, 1, 2, 4]);
            moved.to_shape(IxDyn(&[n, size * size * c, h, w])).unwrap().to_owned()
        }
        "DepthToSpace" => {
            assert_eq!(text("mode"), "DCR");
            let (size, shape) = (integer("blocksize"), x.shape());
            let (n, c, h, w) = (shape[0], shape[1] / (size * size), shape[2], shape[3]);
            let split = x.to_shape((n, size, size, c, h, w)).unwrap();
            let moved = split.permuted_axes([0, 3, 4, 1, 5, 2]);
            moved.to_shape(IxDyn(&[n, c, size * h, size * w])).unwrap().to_owned()
        }
        "Conv" => {
            let (dilations, pads) = (integers("dilations"), integers("pads"));
            assert_eq!(integers("kernel_shape"), inputs[1].shape()[2..]);
            convolution(x, inputs[1], inputs[2], dilations[0], pads[0])
        }
        "AveragePool" => {
            assert_eq!((integers("kernel_shape"), integers("strides")), (vec![2, 2], vec![2, 2]));
            let of = |dy: isize, dx: isize| x.slice(ndarray::s![.., .., dy..; 2, dx..; 2]).to_owned();
            ((of(0, 0) + of(0, 1) + of(1, 0) + of(1, 1)) * 0.25).into_dyn()
        }
        "Resize" => {
            assert_eq!((text("mode"), text("nearest_mode")), ("nearest", "floor"));
            assert_eq!(text("coordinate_transformation_mode"), "asymmetric");
            let scales = inputs[2];
            let shape: Vec<usize> = x.shape().iter().zip(scales).map(|(&n, s)| (n as f32 * s) as usize).collect();
            ArrayD::from_shape_fn(shape, |at| {
                let from: Vec<usize> = (0..4).map(|axis| (at[axis] as f32 / scales[axis]).floor() as usize).collect();
                x[&from[..]]
            })
        }
        "Slice" => {
            let (starts, ends, axes) = (whole(inputs[1]), whole(inputs[2]), whole(inputs[3]));
            let all = SliceInfoElem::Slice { start: 0, end: None, step: 1 };
            let mut slices = vec![all; x.ndim()];
            for ((start, end), axis) in starts.into_iter().zip(ends).zip(axes) {
                slices[axis] = SliceInfoElem::Slice { start: start as isize, end: Some(end as isize), step: 1 };
            }
            x.slice(&slices[..]).to_owned()
        }
        "Split" => {
            let axis = Axis(integer("axis"));
            let mut rest = x.view();
            let mut parts = Vec::new();
            for count in whole(inputs[1]) {
                let (part, after) = rest.split_at(axis, count);
                parts.push(part.to_owned());
                rest = after;
            }
            assert!(rest.is_empty());
            return parts;
        }
        "Softmax" => {
            let axis = Axis(integer("axis"));
            let exponentials = x.mapv(f32::exp);
            let sum = exponentials.sum_axis(axis).insert_axis(axis);
            exponentials / sum
        }
        "Squeeze" => {
            let axis = Axis(whole(inputs[1])[0]);
            assert_eq!(x.len_of(axis), 1);
            x.index_axis(axis, 0).to_owned()
        }
        other => panic!("{other} is not expected in an exported network"),
    };
    vec![result]
}

/// `weight` is `[channel_out, channel_in, ky, kx]`.
fn convolution(x: &ArrayD<f32>, weight: &ArrayD<f32>, bias: &ArrayD<f32>, dilation: usize, pad: usize) -> ArrayD<f32> {
    let (h, w) = (x.shape()[2], x.shape()[3]);
    let [inputs, kernel] = [weight.shape()[1], weight.shape()[2]];
    let loss = dilation * (kernel - 1);
    let shape = [x.shape()[0], weight.shape()[0], h + 2 * pad - loss, w + 2 * pad - loss];
    ArrayD::from_shape_fn(&shape[..], |at| {
        let mut sum = f64::from(bias[[at[1]]]);
        for ky in 0..kernel {
            for kx in 0..kernel {
                let (y, x_at) = (at[2] + ky * dilation, at[3] + kx * dilation);
                if (pad..h + pad).contains(&y) && (pad..w + pad).contains(&x_at) {
                    for channel in 0..inputs {
                        let value = x[[at[0], channel, y - pad, x_at - pad]];
                        sum += f64::from(value) * f64::from(weight[[at[1], channel, ky, kx]]);
                    }
                }
            }
        }
        sum as f32
    })
}
