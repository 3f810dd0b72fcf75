_base_ = './inat2019.py'
# the paper's protocol: new random crops in each of 100 epochs, SGD with a learning rate of 30
test_cfg = dict(protocols=[dict(type='AugmentedLinearProbe', epochs=100)])
