"""Mine populations of chest radiographs: SQL cohorts, handcrafted and deep models, reports that can be trusted."""
