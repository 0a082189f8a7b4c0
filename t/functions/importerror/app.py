"""importerror - a module that needs another which is nowhere."""

import a_module_that_is_nowhere


def handler(event, context):
    return a_module_that_is_nowhere.answer()
