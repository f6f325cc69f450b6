"""What Google's launcher runs in the template's image: a job of lit-embed from the template's parameters."""

from lit_precompute.commands.flex_template import launch

if __name__ == "__main__":
    launch()
