_base_ = './cub.py'
# the paper's protocol: new random crops in each of 200 epochs, SGD with a learning rate of 30
test_cfg = dict(protocols=[dict(type='AugmentedLinearProbe')])
