//! The operations on a CPU, by the kernels of [`crate::kernel`].

use burn_flex::{Flex, FlexTensor};
use burn_tensor::{Shape, TensorData};

use super::operations::{Convolution, ConvolutionGradients, Operations};
use crate::architecture::Activation;
use crate::kernel::{self, ConvolutionShape};

impl Operations for Flex {
    fn convolution(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        skip: Option<FlexTensor>,
        how: Convolution,
    ) -> FlexTensor {
        let shape = convolution_shape(&input, &weight, how);
        let (input, weight, bias) = (input.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let skip = skip.map(|skip| skip.to_contiguous());
        let mut out = vec![0.0; shape.output_len()];
        kernel::forward(
            &shape,
            values(&input),
            values(&weight),
            values(&bias),
            skip.as_ref().map(values),
            match how.activation {
                Activation::None => kernel::Activation::None,
                Activation::Relu => kernel::Activation::Relu,
            },
            &mut out,
        );
        made(out, [shape.batch, shape.height, shape.width, shape.channels_out])
    }

    fn convolution_gradients(
        input: FlexTensor,
        weight: FlexTensor,
        output: FlexTensor,
        gradient: FlexTensor,
        wants_input: bool,
        how: Convolution,
    ) -> ConvolutionGradients<Flex> {
        let shape = convolution_shape(&input, &weight, how);
        let (input, weight, gradient) = (input.to_contiguous(), weight.to_contiguous(), gradient.to_contiguous());
        let output = output.to_contiguous();
        let masked: Vec<f32>;
        let before: &[f32] = match how.activation {
            Activation::None => values(&gradient),
            Activation::Relu => {
                masked = values(&gradient)
                    .iter()
                    .zip(values(&output))
                    .map(|(&gradient, &output)| if output > 0.0 { gradient } else { 0.0 })
                    .collect();
                &masked
            }
        };
        let to_input = wants_input.then(|| {
            let mut to_input = vec![0.0; shape.input_len()];
            kernel::backward_input(&shape, before, values(&weight), &mut to_input);
            made(to_input, [shape.batch, shape.height, shape.width, shape.channels_in])
        });
        let mut to_weight = vec![0.0; shape.weight_len()];
        let mut to_bias = vec![0.0; shape.channels_out];
        kernel::backward_weight(&shape, values(&input), before, &mut to_weight, &mut to_bias);
        ConvolutionGradients {
            input: to_input,
            weight: made(to_weight, [shape.kernel, shape.kernel, shape.channels_in, shape.channels_out]),
            bias: made(to_bias, [shape.channels_out]),
            before_activation: match how.activation {
                Activation::None => gradient.clone(),
                Activation::Relu => made(before.to_vec(), [shape.batch, shape.height, shape.width, shape.channels_out]),
            },
        }
    }

    fn pool(input: FlexTensor) -> FlexTensor {
        let input = input.to_contiguous();
        let [n, h, w, c] = dims(&input);
        let mut out = vec![0.0; n * (h / 2) * (w / 2) * c];
        kernel::average_pool2(h, w, c, values(&input), &mut out);
        made(out, [n, h / 2, w / 2, c])
    }

    fn pool_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let [n, h, w, c] = dims(&gradient);
        let mut out = vec![0.0; n * 4 * h * w * c];
        kernel::average_pool2_backward(2 * h, 2 * w, c, values(&gradient), &mut out);
        made(out, [n, 2 * h, 2 * w, c])
    }

    fn upsample_add(small: FlexTensor, skip: FlexTensor) -> FlexTensor {
        let (small, skip) = (small.to_contiguous(), skip.to_contiguous());
        let [n, h, w, c] = dims(&skip);
        let mut out = vec![0.0; n * h * w * c];
        kernel::upsample2_nearest(h, w, c, values(&small), &mut out);
        out.iter_mut().zip(values(&skip)).for_each(|(out, skip)| *out += skip);
        made(out, [n, h, w, c])
    }

    fn upsample_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let [n, h, w, c] = dims(&gradient);
        let mut out = vec![0.0; n * (h / 2) * (w / 2) * c];
        kernel::upsample2_nearest_backward(h, w, c, values(&gradient), &mut out);
        made(out, [n, h / 2, w / 2, c])
    }
}

fn dims(tensor: &FlexTensor) -> [usize; 4] {
    let shape = tensor.layout().shape();
    std::array::from_fn(|axis| shape[axis])
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor was made contiguous")
}

fn made<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, Shape::new(shape)))
}

fn convolution_shape(input: &FlexTensor, weight: &FlexTensor, how: Convolution) -> ConvolutionShape {
    let [batch, height, width, channels_in] = dims(input);
    ConvolutionShape {
        batch,
        height,
        width,
        channels_in,
        channels_out: dims(weight)[3],
        kernel: how.kernel,
        dilation: how.dilation,
    }
}
