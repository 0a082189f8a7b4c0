print("printpkg is imported")
