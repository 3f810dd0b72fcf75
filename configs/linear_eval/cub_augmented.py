_base_ = ['../_base_/evaluation/cub.py', '../_base_/evaluation/runtime.py']
# the paper's protocol: new random crops in each of 200 epochs, SGD with a learning rate of 30
test_cfg = dict(protocols=[dict(type='AugmentedLinearProbe')])
