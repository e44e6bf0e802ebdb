"""Names of the images that the bot builds for a repository."""

import os

from .config import InvalidConfigException, load_config

# Argo fills this in when a v1 package runs; in kfp 2 nobody does.
_ARGO_TAG = "{{workflow.parameters.version_id}}"


def versioned_image(image_name: str) -> str:
    """REGISTRY/NAME:TAG of an image listed in config.yaml under image_builder.images.

    The registry is image_builder.container_registry_uri. The tag is KFOPS_IMAGE_TAG where that is
    set, else the placeholder for the version id that v1 packages use. The bot builds no images and
    does not set it.
    """
    builder = load_config().get("image_builder") or {}
    registry = builder.get("container_registry_uri")
    if not registry:
        raise InvalidConfigException("config.yaml has no image_builder.container_registry_uri.")
    names = [image.get("name") for image in builder.get("images") or []]
    if image_name not in names:
        raise InvalidConfigException(
            f'config.yaml has no image "{image_name}" in image_builder.images; there are: '
            + (", ".join(map(str, names)) or "none"))
    return f"{registry}/{image_name}:{os.environ.get('KFOPS_IMAGE_TAG') or _ARGO_TAG}"
