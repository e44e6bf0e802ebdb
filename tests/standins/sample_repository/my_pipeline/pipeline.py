"""The iris training pipeline: load the data, train a classifier, measure it.

Compile it by hand with `kfp dsl compile --py my_pipeline/pipeline.py --output pipeline.yaml`.
"""

from kfp import dsl
from kfp.dsl import ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from settings import IMAGE, PACKAGES


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def load_data(test_share: float, train_set: Output[Dataset], test_set: Output[Dataset]):
    """Splits the iris measurements into two tables."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    table = load_iris(as_frame=True).frame
    train, test = train_test_split(table, test_size=test_share, random_state=7,
                                   stratify=table["target"])
    train.to_csv(train_set.path, index=False)
    test.to_csv(test_set.path, index=False)
    print(f"{len(train)} flowers to train with, {len(test)} to test with")


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def train_model(train_set: Input[Dataset], neighbors: int, standard_scaler: bool,
                model: Output[Model]):
    """Fits a nearest-neighbour classifier and keeps it as model.joblib."""
    import os

    import joblib
    import pandas
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    table = pandas.read_csv(train_set.path)
    scaler = StandardScaler() if standard_scaler else MinMaxScaler()
    classifier = make_pipeline(scaler, KNeighborsClassifier(n_neighbors=neighbors))
    classifier.fit(table.drop(columns="target").to_numpy(), table["target"].to_numpy())

    os.makedirs(model.path, exist_ok=True)
    joblib.dump(classifier, os.path.join(model.path, "model.joblib"))
    model.metadata["framework"] = "sklearn"
    print(f"trained with {neighbors} neighbors on {len(table)} flowers")


@dsl.component(base_image=IMAGE, packages_to_install=PACKAGES)
def evaluate_model(test_set: Input[Dataset], model: Input[Model], metrics: Output[Metrics],
                   confusion: Output[ClassificationMetrics]) -> float:
    """Measures the classifier on flowers it has not seen."""
    import os

    import joblib
    import pandas
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    table = pandas.read_csv(test_set.path)
    classifier = joblib.load(os.path.join(model.path, "model.joblib"))
    truth = table["target"].to_numpy()
    guess = classifier.predict(table.drop(columns="target").to_numpy())

    accuracy = float(accuracy_score(truth, guess))
    metrics.log_metric("accuracy", accuracy)
    metrics.log_metric("f1", float(f1_score(truth, guess, average="macro")))
    confusion.log_confusion_matrix(["setosa", "versicolor", "virginica"],
                                   confusion_matrix(truth, guess).tolist())
    print(f"accuracy {accuracy:.3f}")
    return accuracy


@dsl.pipeline(name="iris-training", description="Load, train, evaluate.")
def iris_training(neighbors: int = 3, standard_scaler: bool = True,
                  test_share: float = 0.25) -> float:
    data = load_data(test_share=test_share)
    trained = train_model(train_set=data.outputs["train_set"], neighbors=neighbors,
                          standard_scaler=standard_scaler)
    measured = evaluate_model(test_set=data.outputs["test_set"], model=trained.outputs["model"])
    return measured.outputs["Output"]
