"""What is wrong with data to train on."""


class TrainingDataError(ValueError):
    """The data cannot be trained on; the message names rows and columns, or what there is too little of."""
