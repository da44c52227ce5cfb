//! The few operations that networks are built from, on whatever device computes them.
//!
//! Tensors are `[batch, y, x, channel]`. The provided methods say everything with the framework's own operations and so
//! hold for every device; a device that can do better overrides them ([`super::cpu`]), and is checked against these.

use burn_tensor::backend::Backend;
use burn_tensor::ops::{ConvOptions, FloatTensor};
use burn_tensor::{Tensor, TensorPrimitive};

use crate::architecture::Activation;

/// How a convolution is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) kernel: usize,
    pub(crate) dilation: usize,
    pub(crate) activation: Activation,
}

impl Convolution {
    fn options(&self) -> ConvOptions<2> {
        let reach = (self.kernel / 2) * self.dilation;
        ConvOptions::new([1, 1], [reach, reach], [self.dilation, self.dilation], 1)
    }
}

/// Gradients of a convolution; that of a skip is [`ConvolutionGradients::before_activation`].
pub(crate) struct ConvolutionGradients<B: Backend> {
    /// To the input, if it was asked for.
    pub(crate) input: Option<FloatTensor<B>>,
    /// To the weights, `[ky, kx, channel_in, channel_out]`.
    pub(crate) weight: FloatTensor<B>,
    /// To the bias, `[channel_out]`.
    pub(crate) bias: FloatTensor<B>,
    /// To what the activation was applied to.
    pub(crate) before_activation: FloatTensor<B>,
}

/// The operations of a device.
pub(crate) trait Operations: Backend {
    /// `activation(convolution(input, weight) + bias + skip)`.
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        skip: Option<FloatTensor<Self>>,
        how: Convolution,
    ) -> FloatTensor<Self> {
        let sum = burn_tensor::module::conv2d(
            channels_first::<Self>(input),
            kernel_first::<Self>(weight),
            Some(Tensor::from_primitive(TensorPrimitive::Float(bias))),
            burn_tensor::ops::PaddedConvOptions::from(how.options()),
        );
        let mut sum = sum.permute([0, 2, 3, 1]);
        if let Some(skip) = skip {
            sum = sum + tensor::<Self, 4>(skip);
        }
        let out = match how.activation {
            Activation::None => sum,
            Activation::Relu => burn_tensor::activation::relu(sum),
        };
        primitive(out)
    }

    /// The gradients of [`Operations::convolution`] from the gradient to its result `output`.
    fn convolution_gradients(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        wants_input: bool,
        how: Convolution,
    ) -> ConvolutionGradients<Self> {
        let gradient = match how.activation {
            Activation::None => tensor::<Self, 4>(gradient),
            Activation::Relu => {
                let off = tensor::<Self, 4>(output).lower_equal_elem(0.0);
                tensor::<Self, 4>(gradient).mask_fill(off, 0.0)
            }
        };
        let first = gradient.clone().permute([0, 3, 1, 2]);
        let input = channels_first::<Self>(input);
        let weight = kernel_first::<Self>(weight);
        let to_input = wants_input.then(|| {
            let to_input = Self::conv2d_x_backward(
                primitive(input.clone()),
                primitive(weight.clone()),
                primitive(first.clone()),
                how.options(),
            );
            primitive(tensor::<Self, 4>(to_input).permute([0, 2, 3, 1]))
        });
        let to_weight =
            Self::conv2d_weight_backward(primitive(input), primitive(weight), primitive(first), how.options());
        let channels = gradient.dims()[3];
        let to_bias: Tensor<Self, 1> = gradient.clone().sum_dim(0).sum_dim(1).sum_dim(2).reshape([channels]);
        ConvolutionGradients {
            input: to_input,
            weight: primitive(tensor::<Self, 4>(to_weight).permute([2, 3, 1, 0])),
            bias: primitive(to_bias),
            before_activation: primitive(gradient),
        }
    }

    /// Mean over two by two places.
    fn pool(input: FloatTensor<Self>) -> FloatTensor<Self> {
        primitive(squares_summed(tensor::<Self, 4>(input)) * 0.25)
    }

    /// The gradient of [`Operations::pool`].
    fn pool_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        primitive(doubled(tensor::<Self, 4>(gradient)) * 0.25)
    }

    /// Every place becomes two by two, added to `skip`.
    fn upsample_add(small: FloatTensor<Self>, skip: FloatTensor<Self>) -> FloatTensor<Self> {
        primitive(doubled(tensor::<Self, 4>(small)) + tensor::<Self, 4>(skip))
    }

    /// The gradient of [`Operations::upsample_add`] to the small input.
    fn upsample_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        primitive(squares_summed(tensor::<Self, 4>(gradient)))
    }
}

pub(crate) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

pub(crate) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

fn channels_first<B: Backend>(image: FloatTensor<B>) -> Tensor<B, 4> {
    tensor::<B, 4>(image).permute([0, 3, 1, 2])
}

fn kernel_first<B: Backend>(weight: FloatTensor<B>) -> Tensor<B, 4> {
    tensor::<B, 4>(weight).permute([3, 2, 0, 1])
}

fn squares_summed<B: Backend>(large: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, h, w, c] = large.dims();
    large.reshape([n, h / 2, 2, w / 2, 2, c]).sum_dim(2).sum_dim(4).reshape([n, h / 2, w / 2, c])
}

fn doubled<B: Backend>(small: Tensor<B, 4>) -> Tensor<B, 4> {
    let [n, h, w, c] = small.dims();
    small.reshape([n, h, 1, w, 1, c]).expand([n, h, 2, w, 2, c]).reshape([n, 2 * h, 2 * w, c])
}
