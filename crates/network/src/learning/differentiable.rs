//! The operations with their gradients, so that the framework can train through them.

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn_tensor::Tensor;
use burn_tensor::ops::FloatTensor;

use super::operations::{Convolution, Operations, primitive, tensor};

type Tracked<B> = Tensor<Autodiff<B>, 4>;

/// What the gradients of a convolution need of its way forward.
#[derive(Debug, Clone)]
struct Kept<B: Operations> {
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    output: FloatTensor<B>,
    how: Convolution,
}

/// With [input, weight, bias], or with a skip besides.
#[derive(Debug)]
struct ConvolutionBackward;

impl<B: Operations> Backward<B, 3> for ConvolutionBackward {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [input, weight, bias] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let kept = ops.state;
        let of = B::convolution_gradients(kept.input, kept.weight, kept.output, gradient, input.is_some(), kept.how);
        if let (Some(node), Some(gradient)) = (input, of.input) {
            gradients.register::<B>(node.id, gradient);
        }
        if let Some(node) = weight {
            gradients.register::<B>(node.id, of.weight);
        }
        if let Some(node) = bias {
            gradients.register::<B>(node.id, of.bias);
        }
    }
}

impl<B: Operations> Backward<B, 4> for ConvolutionBackward {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [input, weight, bias, skip] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let kept = ops.state;
        let of = B::convolution_gradients(kept.input, kept.weight, kept.output, gradient, input.is_some(), kept.how);
        if let (Some(node), Some(gradient)) = (input, of.input) {
            gradients.register::<B>(node.id, gradient);
        }
        if let Some(node) = weight {
            gradients.register::<B>(node.id, of.weight);
        }
        if let Some(node) = bias {
            gradients.register::<B>(node.id, of.bias);
        }
        if let Some(node) = skip {
            gradients.register::<B>(node.id, of.before_activation);
        }
    }
}

/// [`Operations::convolution`] with its gradients.
pub(crate) fn convolution<B: Operations>(
    input: Tracked<B>,
    weight: Tracked<B>,
    bias: Tensor<Autodiff<B>, 1>,
    skip: Option<Tracked<B>>,
    how: Convolution,
) -> Tracked<B> {
    let (input, weight, bias) = (primitive(input), primitive(weight), primitive(bias));
    let skip = skip.map(primitive);
    let output = B::convolution(
        input.primitive.clone(),
        weight.primitive.clone(),
        bias.primitive.clone(),
        skip.as_ref().map(|skip| skip.primitive.clone()),
        how,
    );
    let kept = Kept { input: input.primitive.clone(), weight: weight.primitive.clone(), output: output.clone(), how };
    let tracked = match skip {
        None => {
            let nodes = [input.node, weight.node, bias.node];
            match Backward::<B, 3>::prepare::<NoCheckpointing>(ConvolutionBackward, nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(kept, output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        }
        Some(skip) => {
            let nodes = [input.node, weight.node, bias.node, skip.node];
            match Backward::<B, 4>::prepare::<NoCheckpointing>(ConvolutionBackward, nodes).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(kept, output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        }
    };
    tensor(tracked)
}

/// [`Operations::pool`] with its gradient.
pub(crate) fn pool<B: Operations>(input: Tracked<B>) -> Tracked<B> {
    #[derive(Debug)]
    struct PoolBackward;

    impl<B: Operations> Backward<B, 1> for PoolBackward {
        type State = ();

        fn backward(self, ops: Ops<(), 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
            unary::<B, _>(ops.parents, ops.node, gradients, B::pool_gradient);
        }
    }

    let input = primitive(input);
    let output = B::pool(input.primitive);
    tensor(match Backward::<B, 1>::prepare::<NoCheckpointing>(PoolBackward, [input.node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}

/// [`Operations::upsample_add`] with its gradients.
pub(crate) fn upsample_add<B: Operations>(small: Tracked<B>, skip: Tracked<B>) -> Tracked<B> {
    #[derive(Debug)]
    struct UpsampleBackward;

    impl<B: Operations> Backward<B, 2> for UpsampleBackward {
        type State = ();

        fn backward(self, ops: Ops<(), 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let [small, skip] = ops.parents;
            let gradient = gradients.consume::<B>(&ops.node);
            if let Some(node) = small {
                gradients.register::<B>(node.id, B::upsample_gradient(gradient.clone()));
            }
            if let Some(node) = skip {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }

    let (small, skip) = (primitive(small), primitive(skip));
    let output = B::upsample_add(small.primitive, skip.primitive);
    let nodes = [small.node, skip.node];
    tensor(match Backward::<B, 2>::prepare::<NoCheckpointing>(UpsampleBackward, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    })
}
