SUMMARY = "A small system with two sides, to start from"
DESCRIPTION = "Boots, has a network and an update agent. Put your own packages into an image of yours that inherits godwit-image."
LICENSE = "Apache-2.0"

inherit core-image godwit-image

IMAGE_INSTALL = "packagegroup-core-boot ${CORE_IMAGE_EXTRA_INSTALL}"
IMAGE_LINGUAS = ""
